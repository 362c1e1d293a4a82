create table notification_step (
    record_id text primary key,
    pnr text not null,
    event_id text not null,
    event_type text not null,
    channel text not null,
    status text not null,
    attempt bigint not null,
    provider text,
    provider_message_id text,
    reason text,
    occurred_at bigint not null,
    kafka_partition integer not null,
    kafka_offset bigint not null
);
create index notification_step_by_pnr on notification_step (pnr);

create table quiet_change (
    pnr text not null,
    version bigint not null,
    payment_status text not null,
    changed_at bigint not null,
    primary key (pnr, version)
);
