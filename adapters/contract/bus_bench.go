package contract

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// BenchmarkBus measures publishing one message at a time, and receiving and acknowledging by one consumer.
func BenchmarkBus(b *testing.B, start func(b *testing.B) *Bus) {
	body := make([]byte, 300) // about what an event has
	b.Run("publish", func(b *testing.B) {
		bus := start(b)
		benchSubscriber(b, bus)
		for b.Loop() {
			benchPublish(b, bus, body)
		}
	})
	b.Run("receive and acknowledge", func(b *testing.B) {
		bus := start(b)
		sub := benchSubscriber(b, bus)
		for range b.N {
			benchPublish(b, bus, body)
		}
		b.ResetTimer()
		msgs, err := sub.Subscribe(b.Context(), "topic")
		if err != nil {
			b.Fatal(err)
		}
		for range b.N {
			(<-msgs).Ack()
		}
		b.StopTimer()
	})
}

func benchSubscriber(b *testing.B, bus *Bus) message.Subscriber {
	b.Helper()
	sub := bus.Subscriber("a")
	if i, ok := sub.(message.SubscribeInitializer); ok {
		if err := i.SubscribeInitialize("topic"); err != nil {
			b.Fatal(err)
		}
	}
	return sub
}

func benchPublish(b *testing.B, bus *Bus, body []byte) {
	b.Helper()
	if err := bus.Publisher.Publish("topic", message.NewMessage(watermill.NewUUID(), body)); err != nil {
		b.Fatal(err)
	}
}
