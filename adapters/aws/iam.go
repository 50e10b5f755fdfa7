package aws

import "slices"

// Policy is an IAM policy document.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions on resources.
type Statement struct {
	Sid      string   `json:"Sid"`
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
}

// Rights are what a role may do with the topics of Options.Topics. Whatever else that list names, it may be looked at:
// Open with DoNotCreate does that.
type Rights struct {
	Publish     []string    // topics that it publishes to
	Consume     []GroupName // groups that it is a consumer of, with their dead letters
	DeadLetters bool        // look at, send again and drop the dead letters of all groups
	Provision   bool        // make everything
}

// GroupName names a group of a topic.
type GroupName struct{ Topic, Group string }

// Policy returns the least that a role with these rights needs. Actions on subscriptions cannot be limited to a topic:
// IAM knows no such resource.
func (b *Bus) Policy(r Rights) Policy {
	var lookTopic, lookQueue, publish, send, consume, mend []string
	for _, t := range b.opts.Topics {
		if !t.Work {
			lookTopic = append(lookTopic, b.topicARN(t.Name))
		}
		publishes := slices.Contains(r.Publish, t.Name)
		if publishes && !t.Work {
			publish = append(publish, b.topicARN(t.Name))
		}
		for _, g := range t.Groups {
			dead := b.queueARN(b.deadName(t.Name, g.Name))
			lookQueue = append(lookQueue, dead)
			consumes := slices.Contains(r.Consume, GroupName{t.Name, g.Name})
			if consumes || r.DeadLetters {
				mend = append(mend, dead)
			}
			if consumes {
				send = append(send, dead) // it buries
			}
			for _, name := range b.queueNames(t, g.Name) {
				q := b.queueARN(name)
				lookQueue = append(lookQueue, q)
				if consumes {
					consume = append(consume, q)
				}
				if publishes && t.Work || r.DeadLetters {
					send = append(send, q)
				}
			}
		}
	}
	p := Policy{Version: "2012-10-17"}
	receive := []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"}
	p.allow("LookAtTopics", lookTopic, "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic")
	if len(lookTopic) > 0 {
		p.allow("LookAtSubscriptions", []string{"*"}, "sns:GetSubscriptionAttributes")
	}
	p.allow("LookAtQueues", lookQueue, "sqs:GetQueueAttributes", "sqs:GetQueueUrl")
	p.allow("Publish", publish, "sns:Publish")
	p.allow("Send", send, "sqs:SendMessage")
	p.allow("Consume", consume, receive...)
	p.allow("DeadLetters", mend, receive...)
	if r.Provision {
		p.allow("MakeTopics", lookTopic, "sns:CreateTopic", "sns:Subscribe")
		p.allow("MakeQueues", lookQueue, "sqs:CreateQueue", "sqs:SetQueueAttributes")
		if len(lookTopic) > 0 {
			p.allow("SetSubscriptions", []string{"*"}, "sns:SetSubscriptionAttributes")
		}
	}
	return p
}

func (p *Policy) allow(sid string, resources []string, actions ...string) {
	if len(resources) == 0 {
		return
	}
	slices.Sort(resources)
	p.Statement = append(p.Statement, Statement{
		Sid: sid, Effect: "Allow", Action: actions, Resource: slices.Compact(resources),
	})
}
