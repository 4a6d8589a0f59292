package recipes

import (
	"context"
	"errors"

	"github.com/go-zookeeper/zk"
)

// Topic is a short list of messages that every subscriber gets in the same order: news such as "rebuild
// the index", not a stream of data.
type Topic struct {
	conn *zk.Conn
	dir  string
	mark *mark
}

// Message is one message of a Topic.
type Message struct {
	Name string // grows from message to message; a subscriber's position
	Data []byte
}

// OpenTopic returns the topic that lives in dir, for publishing as long as the present session lasts.
func OpenTopic(ctx context.Context, conn *zk.Conn, dir string) (*Topic, error) {
	for _, sub := range []string{"/messages", "/publishers"} {
		if err := ensure(ctx, conn, dir+sub); err != nil {
			return nil, err
		}
	}
	m, err := newMark(ctx, conn, dir+"/publishers", unique())
	if err != nil {
		return nil, err
	}
	return &Topic{conn, dir + "/messages", m}, nil
}

// Publish adds a message, once. After ErrSessionLost nobody can tell whether it did, and the topic must be opened
// again.
func (t *Topic) Publish(ctx context.Context, data []byte) error {
	_, err := t.mark.once(ctx, &zk.CreateRequest{Path: t.dir + "/m-", Data: data, Acl: open, Flags: zk.FlagSequence})
	return err
}

// Subscribe calls f with each message after the one named after, or with all of them when after is "", in order,
// until ctx ends or f fails. A subscriber that stores the name of the last message that it has dealt
// with can go on from there after a crash. Messages that were trimmed before it came are not seen.
func (t *Topic) Subscribe(ctx context.Context, after string, f func(Message) error) error {
	return eachChange(ctx, t.conn, t.dir, func(names []string) error {
		for _, name := range names {
			if name <= after {
				continue
			}
			m := Message{Name: name}
			err := retry(ctx, func() (err error) {
				m.Data, _, err = t.conn.Get(t.dir + "/" + name)
				return err
			})
			if errors.Is(err, zk.ErrNoNode) {
				continue // trimmed in between
			}
			if err != nil {
				return err
			}
			if err := f(m); err != nil {
				return err
			}
			after = name
		}
		return nil
	})
}

// Trim removes all messages but the latest keep.
func (t *Topic) Trim(ctx context.Context, keep int) error {
	names, err := children(ctx, t.conn, t.dir)
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-keep)] {
		if err := remove(ctx, t.conn, t.dir+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// Close ends publishing. What was published stays.
func (t *Topic) Close(ctx context.Context) error { return t.mark.close(ctx) }
