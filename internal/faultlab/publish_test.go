package faultlab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// load is jobs to publish.
type load struct {
	// name starts their ids.
	name         string
	jobs         int
	destinations []string
	// largest is the size of the largest usual file, in bytes; one job of big
	// has one of 2 MB, none where big is 0.
	largest, big int
	// transfer and class are those of all jobs; empty is by turns.
	transfer, class string
	// size is of every file, 0 for many; bucket is where they lie, empty for the
	// usual one.
	size   int
	bucket string
	// poison: every so many a job is named so.
	poison int
}

// destinations are n slugs.
func destinations(start string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%d", start, i+1))
	}
	return all
}

// order is one job before it is published.
type order struct {
	Job
	number int
	bucket string
	bodies [][]byte
	data   []byte
}

// publish stores the files of a load and publishes its jobs, as any client
// would, several at a time. It returns when NATS has confirmed all, or ctx ends.
func (l *lab) publish(ctx context.Context, of load) {
	l.t.Helper()
	numbers := make(chan int)
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() {
			for n := range numbers {
				if err := l.publishOne(ctx, l.order(of, n)); err != nil {
					if ctx.Err() == nil {
						l.t.Errorf("publishing: %v", err)
					}
					return
				}
			}
		})
	}
	defer publishers.Wait()
	defer close(numbers)
	for n := range of.jobs {
		select {
		case numbers <- n:
		case <-ctx.Done():
			return
		}
	}
}

// order makes job n of a load: the same for the same seed.
func (l *lab) order(of load, n int) order {
	own := fnv.New64a()
	fmt.Fprint(own, of.name, n)
	chance := rand.New(rand.NewPCG(l.ground.seed, own.Sum64()))
	o := order{number: n, bucket: cmp.Or(of.bucket, bucketName), Job: Job{
		ID: fmt.Sprintf("%s-%05d", of.name, n), Class: "live", Transfer: of.transfer,
		Destination: of.destinations[n%len(of.destinations)],
	}}
	if chance.IntN(5) == 0 {
		o.Class = "backfill"
	}
	if of.class != "" {
		o.Class = of.class
	}
	if of.poison > 0 && n%of.poison == of.poison-1 {
		o.ID = poisonous + o.ID
	}
	if o.Transfer == "" {
		o.Transfer = []string{"upload", "embed"}[chance.IntN(2)]
	}
	files := 1
	if chance.IntN(5) == 0 && of.size == 0 {
		files = 2 + chance.IntN(2)
	}
	for i := range files {
		size := int(1000 * math.Exp(chance.Float64()*math.Log(float64(of.largest)/1000)))
		if of.big > 0 && n%of.big == of.big-1 && i == 0 {
			size = 2_000_000
		}
		if of.size > 0 {
			size = of.size
		}
		body := document(size, chance)
		sum := sha256.Sum256(body)
		o.bodies = append(o.bodies, body)
		o.Files = append(o.Files, hex.EncodeToString(sum[:]))
		o.Bytes += int64(size)
	}
	return o
}

// document is a PDF as far as anyone looks, with no two alike.
func document(size int, chance *rand.Rand) []byte {
	const start, end = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "\nstartxref\n9\n%%EOF\n"
	data := make([]byte, 0, size+16)
	data = append(data, start...)
	for len(data) < size {
		data = hex.AppendEncode(data, []byte{byte(chance.Uint32()), byte(chance.Uint32()), byte(chance.Uint32()), byte(chance.Uint32())})
	}
	data = data[:size]
	copy(data[size-len(end):], end)
	return data
}

func (l *lab) publishOne(ctx context.Context, o order) error {
	if err := l.storeFiles(ctx, &o); err != nil {
		return err
	}
	return l.send(ctx, o)
}

// storeFiles puts the files of a job into the store, and makes the job of them.
func (l *lab) storeFiles(ctx context.Context, o *order) error {
	var files []map[string]string
	for i, body := range o.bodies {
		key := fmt.Sprintf("%s/%s/%s-%d.pdf", l.canary, o.ID, l.canary, i)
		_, err := l.s3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(o.bucket), Key: aws.String(key), Body: bytes.NewReader(body), ContentType: aws.String("application/pdf"),
		})
		if err != nil {
			return err
		}
		files = append(files, map[string]string{"bucket": o.bucket, "key": key, "title": l.canary + " report.pdf", "sha256": o.Files[i]})
	}
	var err error
	o.data, err = json.Marshal(l.job(*o, files))
	o.bodies = nil
	return err
}

// send publishes a job whose files are in the store.
func (l *lab) send(ctx context.Context, o order) error {
	subject := fmt.Sprintf("%s.jobs.%s.%s", prefix, o.Class, o.Destination)
	for {
		o.Tries++
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := l.js.Publish(try, subject, o.data)
		cancel()
		if err == nil {
			break
		}
		if !pause(ctx, 200*time.Millisecond) {
			return err
		}
	}
	o.Published = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.books.Jobs = append(l.books.Jobs, o.Job)
	return nil
}

// job is the job as its publisher writes it, with the canary wherever patient
// data may be. The lab knows a message again by its masterIdentifier.
func (l *lab) job(o order, files []map[string]string) map[string]any {
	return map[string]any{
		"id": o.ID, "operation": "documentreference-create", "transfer": o.Transfer, "files": files,
		"destination":  map[string]string{"slug": o.Destination, "environment": "Development"},
		"requested_at": time.Now().UTC().Format(time.RFC3339),
		"correlation":  map[string]string{"lab": "faultlab"},
		"message": map[string]any{
			"patient": map[string]any{
				"resourceType": "Patient", "gender": "female", "birthDate": "1970-01-01",
				"identifier": []any{map[string]string{"system": "urn:oid:1.2.3", "value": l.canary}},
				"name":       []any{map[string]any{"family": l.canary, "given": []string{l.canary}}},
			},
			"resource": map[string]any{
				"resourceType": "DocumentReference", "status": "current", "description": l.canary,
				"masterIdentifier": map[string]string{"system": "urn:faultlab", "value": o.ID},
			},
		},
	}
}
