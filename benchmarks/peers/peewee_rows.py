"""Peewee alone, without a cache: `peewee_rows.py URL SECONDS` reads and saves rows, one commit a save.

SQLite is in WAL with synchronous=NORMAL, where a commit does not wait for the disk: the quickest that keeps what was
committed through a kill of the process, which is what the db-cache's journal promises. PostgreSQL is as it comes.
"""

import json
import sys
import time

import peewee

HEROES = 1000


class Hero(peewee.Model):
    name = peewee.CharField()
    gold = peewee.IntegerField(default=0)
    owner = peewee.IntegerField(index=True)
    ver = peewee.BigIntegerField(default=0)


def connect(url):
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return peewee.SqliteDatabase(rest[1:], pragmas={"journal_mode": "wal", "synchronous": "normal"})
    (user, where), name = rest.split("/")[0].split("@"), rest.split("/")[1]
    host, port = where.split(":")
    return peewee.PostgresqlDatabase(name, prefer_psycopg3=True, user=user, host=host, port=int(port))


def get(seconds):
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        Hero.get_by_id(done % HEROES + 1)
        done += 1
    return done


def save(seconds):
    done, until = 0, time.monotonic() + seconds
    heroes = list(Hero.select())
    while time.monotonic() < until:
        hero = heroes[done % HEROES]
        hero.gold += 1
        hero.save()
        done += 1
    return done


def main(url, seconds):
    database = connect(url)
    database.bind([Hero])
    database.connect()
    database.create_tables([Hero])
    with database.atomic():
        for number in range(HEROES):
            Hero.create(name=f"hero {number}", owner=number // 10)
    figures = {}
    for work in (get, save):
        work(0.1)
        began, cpu = time.monotonic(), time.process_time()
        done = work(float(seconds))
        figures[work.__name__] = {
            "answers": done,
            "seconds": time.monotonic() - began,
            "cpu": time.process_time() - cpu,
        }
    print(json.dumps(figures))


main(*sys.argv[1:])
