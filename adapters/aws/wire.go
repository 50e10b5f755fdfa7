package aws

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill-aws/sns"
	"github.com/ThreeDotsLabs/watermill-aws/sqs"
	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
)

// Limits of SNS and SQS that neither watermill-aws nor the stand-ins check.
const (
	// maxBytes is the size of a message with its attributes, and of a batch (Amazon SNS endpoints and quotas).
	maxBytes = 256 << 10
	// maxAttributes is how many attributes beside ours a message may have. SNS throws a message with more than ten away
	// without a word when it is to be delivered raw (Amazon SNS raw message delivery); the uuid is one of the ten, and
	// one is kept for the reason of a dead letter.
	maxAttributes = 8
	maxName       = 256
	maxBatch      = 10
)

// metaEncoding marks a body that is not the payload itself: SQS takes text only, and no empty one.
const (
	metaEncoding   = "_encoding"
	encodingBase64 = "base64"
	base64Mark     = "base64:"
)

// wire is a message as it goes over the wire: the payload is the body, so that anybody can read it, and the metadata
// are String attributes, so that SNS can filter by them.
type wire struct {
	body       string
	attributes map[string]string
}

func encode(msg *message.Message) (wire, error) {
	w := wire{body: string(msg.Payload), attributes: map[string]string{}}
	if w.body == "" || !validText(w.body) {
		w.body = base64Mark + base64.StdEncoding.EncodeToString(msg.Payload)
		w.attributes[metaEncoding] = encodingBase64
	}
	for name, value := range msg.Metadata {
		if value == "" {
			continue // reads the same as none, and an empty attribute is refused
		}
		if !validName(name) {
			return wire{}, fmt.Errorf("%w: metadata %q of message %s: names that SNS and SQS take have letters, digits, _ - and dots",
				domain.ErrInvalid, name, msg.UUID)
		}
		if !validText(value) {
			return wire{}, fmt.Errorf("%w: metadata %q of message %s is no text that SNS and SQS take",
				domain.ErrInvalid, name, msg.UUID)
		}
		w.attributes[name] = value
	}
	if len(w.attributes) > maxAttributes {
		return wire{}, fmt.Errorf("%w: message %s has %d metadata, SNS and SQS deliver %d",
			domain.ErrInvalid, msg.UUID, len(w.attributes), maxAttributes)
	}
	w.attributes[sqs.UUIDAttribute] = msg.UUID
	if n := w.bytes(); n > maxBytes {
		return wire{}, fmt.Errorf("%w: message %s has %d bytes with its metadata, SNS and SQS take %d",
			domain.ErrTooLarge, msg.UUID, n, maxBytes)
	}
	return w, nil
}

const stringType = "String"

// bytes is the size as AWS counts it: the body and every attribute's name, type and value.
func (w wire) bytes() int {
	n := len(w.body)
	for name, value := range w.attributes {
		n += len(name) + len(stringType) + len(value)
	}
	return n
}

func (w wire) snsAttributes() map[string]snstypes.MessageAttributeValue {
	a := make(map[string]snstypes.MessageAttributeValue, len(w.attributes))
	for name, value := range w.attributes {
		a[name] = snstypes.MessageAttributeValue{DataType: awssdk.String(stringType), StringValue: awssdk.String(value)}
	}
	return a
}

func (w wire) sqsAttributes() map[string]sqstypes.MessageAttributeValue {
	a := make(map[string]sqstypes.MessageAttributeValue, len(w.attributes))
	for name, value := range w.attributes {
		a[name] = sqstypes.MessageAttributeValue{DataType: awssdk.String(stringType), StringValue: awssdk.String(value)}
	}
	return a
}

// received is the wire form of a message that has arrived.
func received(m *sqstypes.Message) wire {
	w := wire{body: awssdk.ToString(m.Body), attributes: map[string]string{}}
	for name, a := range m.MessageAttributes {
		w.attributes[name] = awssdk.ToString(a.StringValue)
	}
	return w
}

// decode is the inverse of encode. Beside an error the message still has its name and metadata. One that is not ours
// goes by its MessageId.
func (w wire) decode(messageID string) (*message.Message, error) {
	uuid, ok := w.attributes[sqs.UUIDAttribute]
	if !ok {
		uuid = messageID
	}
	msg := message.NewMessage(uuid, []byte(w.body))
	for name, value := range w.attributes {
		switch name {
		case sqs.UUIDAttribute, metaEncoding, messaging.MetaFailure: // a dead letter that was sent again keeps its failure
		default:
			msg.Metadata.Set(name, value)
		}
	}
	if w.attributes[metaEncoding] == encodingBase64 {
		payload, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(w.body, base64Mark))
		if err != nil {
			return msg, fmt.Errorf("%w: the body is not the base64 that it claims to be", domain.ErrInvalid)
		}
		msg.Payload = payload
	}
	return msg, nil
}

// validText says whether SQS takes s: the characters of XML 1.0 (SendMessage, MessageBody).
func validText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, notText) < 0
}

func notText(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// toText replaces what validText refuses.
func toText(s string) string {
	return strings.Map(func(r rune) rune {
		if notText(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// validName checks an attribute's name by the rules of SQS, which are those of SNS: no AWS. or Amazon. in front, no
// period at the ends or twice in a row.
func validName(s string) bool {
	lower := strings.ToLower(s)
	return s != "" && len(s) <= maxName && !strings.HasPrefix(lower, "aws.") && !strings.HasPrefix(lower, "amazon.") &&
		!strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "..") &&
		strings.IndexFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
		}) < 0
}

// snsMarshaler and sqsMarshaler make watermill-aws's publishers speak the wire form.
type (
	snsMarshaler struct{}
	sqsMarshaler struct{}
)

var (
	_ sns.Marshaler = snsMarshaler{}
	_ sqs.Marshaler = sqsMarshaler{}
)

// Marshal names the topic by TopicArn: TargetArn is for mobile devices, and not every stand-in takes it for a topic.
// It cannot fail, so the publisher has tried to encode the message before.
func (snsMarshaler) Marshal(topic sns.TopicArn, msg *message.Message) *snsapi.PublishInput {
	w, _ := encode(msg)
	return &snsapi.PublishInput{
		TopicArn: awssdk.String(string(topic)), Message: &w.body, MessageAttributes: w.snsAttributes(),
	}
}

func (sqsMarshaler) Marshal(msg *message.Message) (*sqstypes.Message, error) {
	w, err := encode(msg)
	if err != nil {
		return nil, err
	}
	return &sqstypes.Message{Body: &w.body, MessageAttributes: w.sqsAttributes()}, nil
}
