create table outbox (
    seq bigint generated always as identity primary key,
    event_id text not null unique,
    topic text not null,
    record_key text not null,
    event_type text not null,
    version bigint not null,
    payload text not null,
    headers text not null,
    created_at bigint not null,
    owner text not null,
    not_before bigint not null,
    published_at bigint,
    kafka_partition integer,
    kafka_offset bigint
);
create index outbox_unpublished on outbox (seq) where published_at is null;
create index outbox_by_key on outbox (record_key, version);
create table outbox_relay (
    owner text primary key,
    lease_until bigint not null
);
