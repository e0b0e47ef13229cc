select 1
select * from world where id = $1
SELECT id, message FROM fortune ORDER BY message
insert into world (id, randomnumber) values ($1, $2) on conflict do nothing
update world set randomnumber = $2 where id = $1 returning id
delete from world using fortune where world.id = fortune.id
with x as (select 1) select * from x where y = 'it''s' and z = E'\'x'
select set_config('a.b', 'c', false)
select pg_advisory_lock(42), nextval('s'), now(), count(*) filter (where true)
begin; select 1; commit
set search_path = x
SET LOCAL a.b = 1
create temp table x (y int)
select 1 as x into temp y
do $$ begin perform 1; end $$
do $body$ begin perform set_config('a', '$$', true); end $body$
/* a /* nested */ comment */ -- and another
prepare x as select 1
declare x cursor with hold for select 1
select "quoted ""name""", U&"\0041", U&'d\0061t', B'01', X'ff', N'x'
select $1::int[], array[1, 2], x[1:2], 1.5e-3, .5, 1., a.b.c, *, "a"."b"(1)
copy x from stdin
values (1), (2)
table world
explain analyze select 1
(select 1) union all (select 2)
listen x
discard all
