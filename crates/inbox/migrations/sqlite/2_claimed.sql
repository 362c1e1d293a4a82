drop index inbox_leased;
create index inbox_claimed on inbox (pnr, lease_until) where state = 'CLAIMED';
