package eventsub

import (
	"slices"
	"strings"
)

// Sources returns the types of sources that every service knows: those of Cloudflare's
// reference, and the two of this package. Of images Cloudflare documents the source and
// not its events, so every well-formed name is accepted there.
//
// See https://developers.cloudflare.com/queues/event-subscriptions/events-schemas/.
func Sources() []SourceType {
	queueEvents := []string{
		EventQueueCreated, EventQueueUpdated, EventQueueDeleted,
		EventConsumerAttached, EventConsumerUpdated, EventConsumerRemoved, EventDeadLettered,
	}
	ofAll := make([]string, len(queueEvents))
	for i, e := range queueEvents {
		ofAll[i] = "queue." + e
	}
	repo := []Arg{{Name: "namespace"}, {Name: "repo_name"}}
	return []SourceType{
		{Name: "access", Events: words("application.created application.deleted")},
		{Name: "artifacts", Extra: repo, Events: words("repo.created repo.deleted repo.forked repo.imported")},
		{Name: "artifacts.repo", Args: repo, Events: words("pushed cloned fetched token.created token.revoked")},
		{Name: "browserRun", Events: words("crawl.started crawl.updated crawl.finished")},
		{Name: "email.sending", Args: []Arg{{Name: "zone_id"}, {Name: "domain"}}, Events: words(
			"message.delivered message.deferred message.bounced message.failed message.rejected message.complained")},
		{Name: "images"},
		{Name: "kv", Events: words("namespace.created namespace.deleted")},
		{Name: "r2", Events: words("bucket.created bucket.deleted")},
		{Name: "stream", Events: words("video_state.ready video_state.updated")},
		{Name: "stream.liveInput", Extra: []Arg{{Name: "live_input_id"}}, Events: words(
			"live_input.connected live_input.disconnected live_input.errored")},
		{Name: "superSlurper", Events: words("job.started job.paused job.resumed job.completed job.aborted job.object.migrated")},
		{Name: "superSlurper.job", Args: []Arg{{Name: "job_id"}}, Events: words("object.migrated")},
		{Name: "vectorize", Events: words("index.created index.deleted")},
		{Name: "workers.script", Args: []Arg{{Name: "script_tag", Key: "id"}}, Events: words(
			"deployment.created deployment.deleted version.created version.deleted worker.created worker.updated worker.deleted")},
		{Name: "workersAi.model", Args: []Arg{{Name: "model_name"}}, Events: words("batch.queued batch.succeeded batch.failed")},
		{Name: "workersBuilds.worker", Args: []Arg{{Name: "worker_name"}}, Events: words(
			"build.started build.failed build.canceled build.succeeded")},
		{Name: "workflows.workflow", Args: []Arg{{Name: "workflow_name"}}, Events: words(
			"instance.queued instance.started instance.paused instance.errored instance.terminated instance.completed")},
		{Name: sourceQueues, Extra: []Arg{{Name: argQueue}}, Events: ofAll},
		{Name: sourceQueue, Args: []Arg{{Name: argQueue}}, Events: queueEvents},
	}
}

func words(s string) []string { return slices.Clip(strings.Fields(s)) }
