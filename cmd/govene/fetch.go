package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/hub"
)

var fetchCommand = command{name: "fetch", arguments: "MODEL [FILE...]", does: "fetches a model from the hub into the cache, where programs find it", more: `
MODEL is an id on the hub: gpt2, owner/name or owner/name@revision. Without FILEs the config, the weights and, if there is one, the tokenizer are fetched, as
far as they are not in the cache yet, and their folder is said; with FILEs these, and their paths. How far it is, is said meanwhile: bytes, and of how many.
`, do: func(c *call) error {
	if err := c.parse(-1); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.fetch() }()
	select {
	case err := <-done:
		return err
	case <-c.Done(): // what has come of a file is lost, files that are whole are kept
		return c.Err()
	}
}}

func (c *call) fetch() error {
	tell := func(file string, done, total int64) { fmt.Fprintf(c.out, hub.Told+" %s\n", done, total, file) }
	model, files := c.arguments[0], c.arguments[1:]
	if status, err := os.Stat(model); err == nil && status.IsDir() {
		return wrongUse{fmt.Errorf("got %q, which is a folder here and is what programs find; wanted an id of the hub", model)}
	}
	repo, err := hub.Open(model, tell)
	if err != nil {
		return wrongUse{err}
	}
	if len(files) == 0 {
		folder, err := checkpoint.Resolve(model, tell)
		if err != nil {
			return err
		}
		if _, err := checkpoint.ResolveTokenizer(model); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		fmt.Fprintln(c.out, folder)
		return nil
	}
	for _, file := range files {
		path, err := repo.File(file)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, path)
	}
	return nil
}
