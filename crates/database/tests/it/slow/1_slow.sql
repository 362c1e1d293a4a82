select pg_sleep(11);
