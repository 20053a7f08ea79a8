import { connect } from "@nats-io/transport-node"; // npm install @nats-io/transport-node @nats-io/jetstream
import { jetstream } from "@nats-io/jetstream";

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222" });

// Yours is a table with event.id as its key, written in the transaction that
// does your work.
const noted = new Set();

const consumer = await jetstream(nc).consumers.get("CHARTPOST_EVENTS", "outcomes");
for await (const message of await consumer.consume()) {
  const event = message.json();
  if (!noted.has(event.id)) {
    console.log(event.subject, event.data.status);
    noted.add(event.id);
  }
  message.ack();
}
