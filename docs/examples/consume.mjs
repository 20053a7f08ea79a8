import { connect } from "@nats-io/transport-node"; // npm install @nats-io/transport-node @nats-io/jetstream
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });
await (await jetstreamManager(nc)).consumers.add("CHARTPOST_EVENTS", {
  durable_name: "journal-node",
  ack_policy: AckPolicy.Explicit,
  filter_subject: "chartpost.events.*.*.*",
});

// Yours is a table with event.id as its key, written in the transaction that
// does your work.
const noted = new Set();

const consumer = await jetstream(nc).consumers.get("CHARTPOST_EVENTS", "journal-node");
for await (const message of await consumer.consume()) {
  const event = message.json();
  if (!noted.has(event.id)) {
    console.log(event.subject, event.data.status);
    noted.add(event.id);
  }
  message.ack();
}
