-- A database for each program; booking_api's is there already.
create database email_notifier;
create database sms_notifier;
create database whatsapp_notifier;
