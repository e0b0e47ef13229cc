"""The Python application of tests/soak: the paths of soak.c that write.

/add?id=1	a query that commits by itself
/move?id=1	a transaction
/read?id=1	a query whose columns change under it
"""

from urllib.parse import parse_qs

import mews

pool = mews.pool()


def add(number):
	pool.execute("write", "insert into ledger (id, way, rows)"
	    " values ($1, 'python', 1)", number)


def move(number):
	with pool.transaction("write") as t:
		t.execute("update account set balance = balance + case id"
		    " when $1 then -1 else 1 end where id in ($1, $2)",
		    number % 10, (number + 1) % 10)
		t.execute("insert into ledger (id, way, rows)"
		    " values ($1, 'python', 1)", number)


def read(number):
	pool.query("read", "select * from ledger where id = $1", number)


PATHS = {"/add": add, "/move": move, "/read": read}


def application(environ, start_response):
	serve = PATHS[environ["PATH_INFO"]]
	number = int(parse_qs(environ["QUERY_STRING"])["id"][0])
	status, headers = "200 OK", [("Content-Type", "text/plain")]
	try:
		serve(number)
	except mews.Error as error:
		status = "503 Service Unavailable"
		if error.may_resend:
			headers.append(("Retry-After", "1"))
	start_response(status, headers)
	return [b"ok\n"]
