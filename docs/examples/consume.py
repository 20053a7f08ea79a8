import asyncio
import json
import sqlite3

import nats  # pip install nats-py

db = sqlite3.connect("events.db")
db.execute("CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, job TEXT, status TEXT)")


def apply(event):
    """Your work and the note of the event's id, in one transaction."""
    with db:
        noted = db.execute(
            "INSERT OR IGNORE INTO event VALUES (?, ?, ?)",
            (event["id"], event["subject"], event["data"]["status"]),
        )
        if noted.rowcount:
            print(event["subject"], event["data"]["status"])


async def main():
    nc = await nats.connect("nats://127.0.0.1:4222")
    subscription = await nc.jetstream().pull_subscribe_bind(
        durable="outcomes", stream="CHARTPOST_EVENTS"
    )
    while True:
        try:
            messages = await subscription.fetch(100, timeout=30)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            apply(json.loads(message.data))
            await message.ack()


if __name__ == "__main__":
    asyncio.run(main())
