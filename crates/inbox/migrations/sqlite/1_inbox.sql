create table inbox (
    seq integer primary key autoincrement,
    event_id text not null unique,
    pnr text not null,
    event_type text not null,
    version bigint not null,
    event_at bigint not null,
    topic text not null,
    kafka_partition integer not null,
    kafka_offset bigint not null,
    kafka_timestamp bigint,
    payload text not null,
    origin text not null,
    state text not null check (state in ('PENDING', 'CLAIMED', 'SENT', 'DEAD', 'SUPPRESSED', 'EXPIRED')),
    attempts bigint not null default 0,
    not_before bigint not null,
    awaits text,
    token bigint not null default 0,
    lease_until bigint not null default 0,
    verdict text,
    provider text,
    unsure_of text,
    provider_message_id text,
    reason text,
    first_failure_at bigint,
    last_failure_at bigint,
    received_at bigint not null,
    finished_at bigint
);
create index inbox_due on inbox (not_before, seq) where state = 'PENDING';
create index inbox_unfinished on inbox (pnr, version, event_at, seq) where state in ('PENDING', 'CLAIMED');
create index inbox_leased on inbox (lease_until) where state = 'CLAIMED';
create index inbox_told on inbox (pnr, version, event_at) where state = 'SENT' or unsure_of is not null;
create index inbox_cancelled on inbox (pnr, version) where event_type = 'BOOKING_CANCELLED';
create index inbox_by_pnr on inbox (pnr, version);
create index inbox_awaiting on inbox (pnr) where awaits is not null;
