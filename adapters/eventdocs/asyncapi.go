package eventdocs

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	"github.com/cinelog/cinelog/domain"
)

// message is an event in the AsyncAPI document.
type message struct{ Type, Description string }

// Name is the message's key: names of components may have no colons, but dots.
func (m message) Name() string { return m.Type }

// Text is the description as a scalar of YAML.
func (m message) Text() string { return fmt.Sprintf("%q", m.Description) }

// asyncAPI writes the document. Where it stands, the schemas are beside it.
func asyncAPI(messages []message) ([]byte, error) {
	t, err := template.New("asyncapi.yaml").Parse(asyncAPITemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Messages": messages, "MaxInline": domain.MaxInlineData, "Wanted": `["video.published.v1","video.deleted.v1"]`,
	})
	return bytes.ReplaceAll(b.Bytes(), []byte("\t"), []byte(strings.Repeat(" ", 2))), err
}

const asyncAPITemplate = `# Written by "make generate" from the Go code. Do not edit.
asyncapi: 3.0.0
id: urn:cinelog:events
info:
  title: Cinelog events
  version: 1.0.0
  description: |
    Every fact about a video is an event in one ordered log. It goes out on a topic, at least once and in any order, and on a
    feed over HTTP, once and in the order of the log. Either way it is a CloudEvents 1.0 document in JSON. docs/events.md says
    what a subscriber may rely on.
  license:
    name: MIT
defaultContentType: application/cloudevents+json
servers:
  sns:
    host: sns.{region}.amazonaws.com
    protocol: sns
    description: The topic, where messages go by SNS and SQS (--bus).
    variables:
      region:
        default: eu-central-1
        description: The region of the topic.
  http:
    host: 127.0.0.1:8080
    protocol: http
    description: The feed of a Cinelog server.
channels:
  topic:
    address: cinelog-events
    servers:
      - $ref: '#/servers/sns'
    description: All events. Give it a queue of your own, with raw message delivery, and a filter by the attribute "type".
    bindings:
      sns:
        name: cinelog-events
        bindingVersion: 0.1.0
    messages:
{{- range .Messages}}
      {{.Name}}:
        $ref: '#/components/messages/{{.Name}}'
{{- end}}
  queue:
    address: my-queue
    servers:
      - $ref: '#/servers/sns'
    description: A queue of yours that is subscribed to the topic.
    bindings:
      sqs:
        queue:
          name: my-queue
          fifoQueue: false
          redrivePolicy:
            deadLetterQueue:
              name: my-queue-dead
            maxReceiveCount: 10
        deadLetterQueue:
          name: my-queue-dead
          fifoQueue: false
        bindingVersion: 0.2.0
    messages:
{{- range .Messages}}
      {{.Name}}:
        $ref: '#/components/messages/{{.Name}}'
{{- end}}
  feed:
    address: /v1/events
    servers:
      - $ref: '#/servers/http'
    description: Server-sent events. The id of each is its position; with it as Last-Event-ID a reader goes on after it.
    messages:
{{- range .Messages}}
      {{.Name}}:
        $ref: '#/components/messages/{{.Name}}'
{{- end}}
operations:
  publish:
    action: send
    channel:
      $ref: '#/channels/topic'
    summary: Cinelog publishes every event of the log.
    bindings:
      sns:
        consumers:
          - protocol: sqs
            endpoint:
              name: my-queue
            rawMessageDelivery: true
            filterPolicyScope: MessageAttributes
            filterPolicy:
              type: {{.Wanted}}
        bindingVersion: 0.1.0
  deliver:
    action: send
    channel:
      $ref: '#/channels/queue'
    summary: SNS puts those that the filter lets through into your queue.
    bindings:
      sqs:
        queues:
          - name: my-queue
        bindingVersion: 0.2.0
  follow:
    action: send
    channel:
      $ref: '#/channels/feed'
    summary: Cinelog sends every event after the position that the reader names.
    bindings:
      http:
        method: GET
        query:
          type: object
          properties:
            after:
              type: integer
              description: Begin after this position; without it, with what happens from now on.
            type:
              type: string
              description: Only this type, or those that begin like one with a * at the end. May be repeated.
            video:
              type: string
              format: uuid
              description: Only events of this video.
        bindingVersion: 0.3.0
components:
  messages:
{{- range .Messages}}
    {{.Name}}:
      name: {{.Name}}
      title: {{.Name}}
      summary: {{.Text}}
      contentType: application/cloudevents+json
      headers:
        $ref: '#/components/schemas/attributes'
      payload:
        allOf:
          - $ref: '#/components/schemas/cloudEvent'
          - type: object
            properties:
              type:
                const: {{.Name}}
              data:
                $ref: ./{{.Name}}.json
{{- end}}
  schemas:
    attributes:
      type: object
      description: Message attributes, by which SNS can filter. The feed has none.
      required: [type, video, position]
      properties:
        type:
          type: string
          description: The type of the event.
        video:
          type: string
          description: The id of the video.
        position:
          type: string
          description: The position, as text.
        correlation:
          type: string
          description: The id of the request, where there is one.
    cloudEvent:
      type: object
      description: The attributes of CloudEvents 1.0, with Cinelog's own.
      required: [specversion, id, source, type, subject, time, datacontenttype, position, version]
      properties:
        specversion:
          type: string
          const: '1.0'
        id:
          type: string
          description: The position as text. With source it names the event for ever.
        source:
          type: string
          const: /cinelog/events
        type:
          type: string
          description: The type of the event with its version.
        subject:
          type: string
          description: The id of the video.
        time:
          type: string
          format: date-time
          description: When the event was recorded, in UTC.
        datacontenttype:
          type: string
          const: application/json
        position:
          type: integer
          minimum: 1
          description: The place in the log, over all videos, without a gap.
        version:
          type: integer
          minimum: 1
          description: The place among the events of the video.
        actor:
          type: string
          description: Who did it.
        correlation:
          type: string
          description: The id of the request that it belongs to.
        causation:
          type: string
          description: The position of the event that it is a reaction to.
        data:
          type: object
          description: The facts, by the schema of the type.
        dataref:
          type: string
          format: uri-reference
          description: Instead of data, where these are longer than {{.MaxInline}} bytes, the address of the video's events.
      oneOf:
        - required: [data]
        - required: [dataref]
`
