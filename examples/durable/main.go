// Durable is a shop whose orders survive it. The first process takes five orders and is
// killed while it ships the third; the second one goes on with what is left. Orders and
// queue are in one file, so an order and its message are written by one transaction.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	file := flag.String("db", "", "file of the shop; empty: a new one that is deleted at the end")
	work := flag.Bool("work", false, "be the shop, until all is shipped")
	die := flag.Int("die", 0, "with -work: be killed while this order is shipped")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if *work {
		err = runShop(ctx, os.Stdout, *file, *die)
	} else {
		err = tell(ctx, os.Stdout, *file)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// tell runs the shop in a process of its own that is killed, and in another one.
func tell(ctx context.Context, out io.Writer, file string) error {
	if file == "" {
		dir, err := os.MkdirTemp("", "durable")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		file = filepath.Join(dir, "shop.db")
	}
	if _, err := fmt.Fprintln(out, "the first process:"); err != nil {
		return err
	}
	err := start(ctx, out, file, "-die=3")
	if _, killed := errors.AsType[*exec.ExitError](err); !killed {
		return fmt.Errorf("the first process was to be killed, and ended with: %w", err)
	}
	if _, err := fmt.Fprintln(out, "killed. The second process:"); err != nil {
		return err
	}
	return start(ctx, out, file)
}

// start runs this program again, as the shop.
func start(ctx context.Context, out io.Writer, file string, flags ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-work", "-db", file}, flags...)...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

// killed ends this process as kill -9 does: nothing is closed, nothing is written.
func killed() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Kill()
}
