# mews monitor -c $MEWS_CONF &
# gunicorn -c gunicorn_attach.conf.py
#
# Each worker imports the application by itself, so that it may be reloaded,
# and attaches: it needs no parent that gives its slot back.

wsgi_app = "shop:application"
workers = 4
raw_env = ["MEWS_ATTACH=yes"]
