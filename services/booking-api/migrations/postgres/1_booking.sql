create table booking (
    booking_id bigint generated always as identity primary key,
    pnr text not null unique,
    version bigint not null,
    user_id bigint not null,
    status text not null,
    payment_status text not null,
    history text not null,
    details text not null,
    cancel_reason text,
    created_at bigint not null,
    updated_at bigint not null
);
create index booking_by_user on booking (user_id, booking_id desc);
create index booking_by_status on booking (status, booking_id desc);

create table idempotency (
    scope_key text primary key,
    fingerprint text not null,
    answer text not null,
    created_at bigint not null
);
create index idempotency_by_age on idempotency (created_at);
