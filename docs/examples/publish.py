import asyncio
import json
import string

import nats  # pip install nats-py

PLAIN = string.ascii_letters + string.digits + "-"


def token(address):
    """The destination as the last token of a job's subject."""
    return "".join(chr(b) if chr(b) in PLAIN else f"_{b:02X}" for b in address.encode())


job = {
    "id": "lab-2026-000123",
    "operation": "documentreference-create",
    "destination": {"slug": "good_health", "environment": "Development"},
    "files": [{"bucket": "samples", "key": "lab-report.pdf", "content_type": "application/pdf"}],
    "message": {
        "patient": {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:2.16.840.1.113883.3.9999.1", "value": "SAMPLE-0001"}],
            "name": [{"family": "Sample", "given": ["Quentin"]}],
            "gender": "male",
            "birthDate": "1961-04-12"
        },
        "resource": {"resourceType": "DocumentReference", "status": "current"}
    },
    "requested_at": "2026-11-20T10:00:00Z",
    "expires_at": "2099-12-31T00:00:00Z",
    "correlation": {"order": "4711"}
}


async def main():
    nc = await nats.connect("nats://127.0.0.1:4222")
    try:
        where = job["destination"].get("slug") or job["destination"]["id"]
        ack = await nc.jetstream().publish(
            f"chartpost.jobs.live.{token(where)}",
            json.dumps(job).encode(),
        )
        print("stored", ack.stream, ack.seq)
    finally:
        await nc.close()


if __name__ == "__main__":
    asyncio.run(main())
