-- The table of shop.py.
create table if not exists stock (
	id int primary key,
	name text not null,
	left_over int not null check (left_over >= 0)
);
insert into stock values (1, 'jesses', 20), (2, 'hood', 3), (3, 'bell', 7)
on conflict do nothing;
