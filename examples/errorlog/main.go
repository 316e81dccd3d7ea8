// Errorlog collects the errors of a service in objects of a blob store: a batch of
// 100, or what has come within 30 seconds, is one object. The store is a directory
// here; with another driver of gocloud.dev/blob it is a bucket of S3, GCS or Azure.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"github.com/inproq/inproq"
)

func main() {
	dir := flag.String("dir", "", "directory for the objects; none: a temporary one, which is removed")
	linger := flag.Duration("linger", 300*time.Millisecond, "how long a batch waits to be full; a service has 30s")
	flag.Parse()
	if err := inDir(*dir, *linger); err != nil {
		log.Fatal(err)
	}
}

// inDir runs the program with the objects in a directory.
func inDir(dir string, linger time.Duration) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "errorlog-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true,
		NoTempDir: true, // a temporary file beside the object can be renamed to it
		Metadata:  fileblob.MetadataDontWrite,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return run(ctx, os.Stdout, bucket, linger)
}

// run reports 250 errors, waits until they are in the bucket, and lists it.
func run(ctx context.Context, out io.Writer, bucket *blob.Bucket, linger time.Duration) error {
	collecting, stop := context.WithCancel(ctx)
	defer stop()
	broker, err := inproq.NewBroker(inproq.Config{})
	if err != nil {
		return err
	}
	errorLog, err := inproq.Declare[Event](ctx, broker, "errors", inproq.QueueConfig{})
	if err != nil {
		return err
	}
	a := &archive{bucket: bucket}
	const reported = 250
	a.stored = func(total int64) {
		if total == reported {
			stop() // a service would stop on a signal
		}
	}
	if _, err := errorLog.Consume(a.store, inproq.ConsumerConfig{
		MaxBatchSize:    100,
		MaxBatchTimeout: linger,
		MaxRetries:      100,         // no event is lost because
		RetryDelay:      time.Minute, // the bucket is out of reach for an hour
	}); err != nil {
		return err
	}

	for number := range reported {
		e := Event{Time: time.Now(), Service: "checkout", Text: fmt.Sprintf("error %d", number+1)}
		if _, err := errorLog.Send(ctx, e); err != nil {
			return err
		}
	}
	if err := broker.Run(collecting); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not all events are in the bucket: %w", err)
	}
	return list(context.WithoutCancel(ctx), out, bucket)
}

// list prints the name of each object and how many events it has.
func list(ctx context.Context, out io.Writer, bucket *blob.Bucket) error {
	for objects := bucket.List(nil); ; {
		object, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := bucket.ReadAll(ctx, object.Key)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, object.Key, bytes.Count(text, []byte("\n")), "events"); err != nil {
			return err
		}
	}
}
