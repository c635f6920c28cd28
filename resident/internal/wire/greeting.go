package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Version is the version of the frames. What else client and engine must share is the dialect, a digest of the operations there are.
const Version = 3

const (
	greeting     = "govene-engine"
	longestLine  = 1 << 10
	greetingTime = 10 * time.Second
)

// Greet is the client's part of the greeting. Its error says in words why the two do not fit.
func Greet(conn net.Conn, r *bufio.Reader, dialect string) error {
	conn.SetDeadline(time.Now().Add(greetingTime))
	defer conn.SetDeadline(time.Time{})
	if _, err := fmt.Fprintf(conn, "%s %d %s\n", greeting, Version, dialect); err != nil {
		return err
	}
	line, err := readLine(r)
	if err != nil {
		return fmt.Errorf("no greeting from what listens there: %w", err)
	}
	if line == greeting+" welcome" {
		return nil
	}
	if words, ok := strings.CutPrefix(line, greeting+" refused: "); ok {
		return errors.New("the engine refused: " + words)
	}
	return fmt.Errorf("what listens there is no engine: it says %q", line)
}

// Welcome is the engine's part of the greeting.
func Welcome(conn net.Conn, r *bufio.Reader, dialect string) error {
	conn.SetDeadline(time.Now().Add(greetingTime))
	defer conn.SetDeadline(time.Time{})
	line, err := readLine(r)
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		err := fmt.Errorf(format, args...)
		fmt.Fprintf(conn, "%s refused: %v\n", greeting, err)
		return err
	}
	var version int
	var theirs string
	if n, err := fmt.Sscanf(line, greeting+" %d %s", &version, &theirs); n != 2 || err != nil {
		return refuse("this is a Govene engine, and what called it is not its client")
	}
	if version != Version {
		return refuse("the client speaks version %d, this engine version %d; stop the engine, or build both from one checkout", version, Version)
	}
	if theirs != dialect {
		return refuse("client and engine were built with different versions of GoMLX; stop the engine, or build both from one checkout")
	}
	_, err = fmt.Fprintf(conn, "%s welcome\n", greeting)
	return err
}

// readLine reads a line that is not too long.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < longestLine {
		b, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
	return "", fmt.Errorf("a greeting longer than %d bytes", longestLine)
}
