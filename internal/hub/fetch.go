//go:build !nohub

package hub

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// validETag is what may become the name of a blob in the cache.
var validETag = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// client follows no redirects, as fetch looks at each; an answer must begin within a minute, and may take as long as it needs.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: func() http.RoundTripper {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = time.Minute
		return transport
	}(),
}

// fetch downloads a file into the cache: its bytes to blobs/, and a link to them in the snapshot of the commit.
func (r *Repo) fetch(name string) (path string, err error) {
	response, described, err := r.request(name)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if err := r.setCommit(described.Get(headerCommit)); err != nil {
		return "", fmt.Errorf("%s, %s: %w", r, name, err)
	}
	etag := strings.Trim(strings.TrimPrefix(cmp.Or(described.Get(headerLinkedETag), described.Get("ETag")), "W/"), `"`)
	if !validETag.MatchString(etag) {
		return "", fmt.Errorf("%s, %s: got ETag %q from %s, wanted the file's hash", r, name, etag, r.endpoint)
	}
	blob := r.path("blobs", etag)
	if _, err := os.Stat(blob); err != nil {
		size := response.ContentLength
		if linked, err := strconv.ParseInt(described.Get(headerLinkedSize), 10, 64); err == nil {
			size = linked
		}
		if err := r.download(blob, etag, name, response.Body, size); err != nil {
			return "", fmt.Errorf("%s, %s: %w", r, name, err)
		}
	}
	path = r.path("snapshots", r.commit, name)
	return path, link(blob, path)
}

// request asks for a file and follows redirects. The token goes to the hub alone. The headers that describe the file are those of
// the hub's own last answer.
func (r *Repo) request(name string) (response *http.Response, described http.Header, err error) {
	hub, err := url.Parse(r.endpoint)
	if err != nil {
		return nil, nil, err
	}
	at := hub.JoinPath(r.id, "resolve", url.PathEscape(cmp.Or(r.commit, r.revision)), name)
	for range 10 {
		request, err := http.NewRequest(http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, nil, err
		}
		request.Header.Set("Accept-Encoding", "identity")
		request.Header.Set("User-Agent", "govene")
		own := at.Scheme == hub.Scheme && at.Host == hub.Host
		if own && r.token != "" {
			request.Header.Set("Authorization", "Bearer "+r.token)
		}
		response, err := client.Do(request)
		if err != nil {
			var inner *url.Error
			if errors.As(err, &inner) {
				err = inner.Err
			}
			return nil, nil, r.unavailable(name, err)
		}
		if own {
			described = response.Header
		}
		if response.StatusCode == http.StatusOK {
			return response, described, nil
		}
		response.Body.Close()
		if response.StatusCode/100 != 3 {
			return nil, nil, r.refused(name, response)
		}
		if at, err = response.Location(); err != nil {
			return nil, nil, fmt.Errorf("%s, %s: %w", r, name, err)
		}
	}
	return nil, nil, fmt.Errorf("%s, %s: got ten redirects from %s, wanted the file", r, name, r.endpoint)
}

// refused is the error for an answer that is not the file.
func (r *Repo) refused(name string, response *http.Response) error {
	if response.Header.Get(headerErrorCode) == "EntryNotFound" {
		if r.setCommit(response.Header.Get(headerCommit)) == nil {
			_ = write(r.path(".no_exist", r.commit, name), "") // else it is asked for again next time
		}
		return r.missing(name)
	}
	text := response.Status
	if message := response.Header.Get(headerErrorText); message != "" {
		text += ": " + message
	}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return r.unavailable(name, fmt.Errorf("got %s (no such model, or one that needs access: ask for it on the model's page and set HF_TOKEN)", text))
	case http.StatusNotFound:
		return r.unavailable(name, fmt.Errorf("got %s (no such model or revision)", text))
	}
	return r.unavailable(name, fmt.Errorf("got %s", text))
}

// setCommit notes the commit that the revision stands for, here and in the cache.
func (r *Repo) setCommit(commit string) error {
	if r.commit != "" {
		return nil
	}
	if !validCommit.MatchString(commit) {
		return fmt.Errorf("got commit %q from %s, wanted 40 hexadecimal digits", commit, r.endpoint)
	}
	r.commit = commit
	return write(r.path("refs", r.revision), commit)
}

// download writes a blob, which appears whole and checked or not at all.
func (r *Repo) download(blob, etag, name string, body io.Reader, size int64) error {
	return create(blob, func(file io.Writer) error {
		counter := &counter{name: name, total: size, progress: r.progress}
		sum := hashOf(etag, size)
		written, err := io.Copy(io.MultiWriter(file, sum, counter), body)
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", written, size, err)
		}
		if size >= 0 && written != size {
			return fmt.Errorf("got %d bytes, wanted %d", written, size)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); isHash(etag) && got != etag {
			return fmt.Errorf("got bytes with hash %s, wanted %s: the transfer was damaged", got, etag)
		}
		return nil
	})
}

// isHash tells whether an ETag is a hash of the file, as the hub's are: SHA-256 of a large file, Git's SHA-1 of a small one.
func isHash(etag string) bool {
	_, err := hex.DecodeString(etag)
	return err == nil && (len(etag) == 64 || len(etag) == 40)
}

func hashOf(etag string, size int64) hash.Hash {
	if len(etag) == 40 {
		sum := sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", size)
		return sum
	}
	return sha256.New()
}

// counter tells progress of what is written to it, every megabyte and at the end.
type counter struct {
	name              string
	done, told, total int64
	progress          Progress
}

func (c *counter) Write(data []byte) (int, error) {
	c.done += int64(len(data))
	if c.progress != nil && (c.done-c.told >= 1<<20 || c.done == c.total) {
		c.told = c.done
		c.progress(c.name, c.done, c.total)
	}
	return len(data), nil
}

// link makes a file of a snapshot a link to its blob, or the blob itself where the system has no links.
func link(blob, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	relative, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	if err := os.Symlink(relative, path); err != nil {
		if _, there := os.Stat(path); there == nil {
			return nil // somebody else fetched it meanwhile
		}
		return os.Rename(blob, path)
	}
	return nil
}

// create makes a file, and its folder if need be, which appears whole or not at all.
func create(path string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.incomplete")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err = fill(file); err == nil {
		err = file.Chmod(0o644)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// write creates a file with a text.
func write(path, text string) error {
	return create(path, func(file io.Writer) error {
		_, err := io.WriteString(file, text)
		return err
	})
}
