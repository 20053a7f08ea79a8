import { connect } from "@nats-io/transport-node"; // npm install @nats-io/transport-node @nats-io/jetstream
import { jetstream } from "@nats-io/jetstream";

// The destination as the last token of a job's subject.
export const token = (address) =>
  Array.from(Buffer.from(address), (b) => {
    const c = String.fromCharCode(b);
    return /[A-Za-z0-9-]/.test(c) ? c : "_" + b.toString(16).toUpperCase().padStart(2, "0");
  }).join("");

const job = {
  "id": "lab-2026-000123",
  "operation": "documentreference-create",
  "destination": { "slug": "good_health", "environment": "Development" },
  "files": [{ "bucket": "samples", "key": "lab-report.pdf", "content_type": "application/pdf" }],
  "message": {
    "patient": {
      "resourceType": "Patient",
      "identifier": [{ "system": "urn:oid:2.16.840.1.113883.3.9999.1", "value": "SAMPLE-0001" }],
      "name": [{ "family": "Sample", "given": ["Quentin"] }],
      "gender": "male",
      "birthDate": "1961-04-12"
    },
    "resource": { "resourceType": "DocumentReference", "status": "current" }
  },
  "requested_at": "2026-11-20T10:00:00Z",
  "expires_at": "2099-12-31T00:00:00Z",
  "correlation": { "order": "4711" }
};

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
const where = job.destination.slug ?? job.destination.id;
const ack = await jetstream(nc).publish(`chartpost.jobs.live.${token(where)}`, JSON.stringify(job));
console.log("stored", ack.stream, ack.seq);
await nc.close();
