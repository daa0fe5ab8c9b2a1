#include "orchestrator/controllers/plan_runner.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

// Requests of one plan that are under way at once.
constexpr size_t kAtOnce = 64;

std::string Filled(std::string_view text, std::string_view value) {
  const size_t at = text.find("%s");
  if (at == std::string_view::npos) return std::string(text);
  return base::StrCat(text.substr(0, at), value, text.substr(at + 2));
}

bool IsLenient(const Request& request, const absl::Status& status) {
  if (!request.lenient) return false;
  return request.verb == Request::Verb::kCreate ? IsReason(status, "AlreadyExists")
                                                : IsReason(status, "NotFound");
}

}  // namespace

Resource ResourceOf(const ResourceRef& ref) {
  return {std::string(ref.group), std::string(ref.version), std::string(ref.plural)};
}

json::object ShallowPatch(const json::object& before, const json::object& after) {
  json::object patch;
  for (const auto& [name, value] : after) {
    const json::value* old = before.if_contains(name);
    if (old != nullptr && *old == value) continue;
    patch[name] = value;
    // Merging goes deeper than this patch does: members that are gone must be named.
    if (old == nullptr || !old->is_object() || !value.is_object()) continue;
    patch[name] = ShallowPatch(old->get_object(), value.get_object());
  }
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) patch[name] = nullptr;
  }
  return patch;
}

struct PlanRunner::Impl : std::enable_shared_from_this<Impl> {
  // One plan under way.
  struct Job {
    json::object object;
    ObjectKey key;
    Plan plan;
    absl::AnyInvocable<void(absl::Status)> done;
    size_t next = 0, under_way = 0;
    size_t batch = 1;       // how many of the group may go out together
    size_t batch_left = 1;  // of them, not yet sent
    absl::Status error;     // the first
    int creations_left = 0;
  };

  Impl(ControllerContext& c, Resource r, std::string k, std::string by, Expectations* e)
      : context(c),
        resource(std::move(r)),
        kind(std::move(k)),
        component(std::move(by)),
        expectations(e) {}

  void Run(const json::object& object, Plan plan, absl::AnyInvocable<void(absl::Status)> done) {
    auto job = std::make_shared<Job>();
    job->object = object;
    job->key = KeyOf(object);
    job->plan = std::move(plan);
    job->done = std::move(done);
    for (const Note& note : job->plan.notes) Tell(*job, note, "");
    std::vector<std::string> deletions;
    for (const Request& request : job->plan.requests) {
      if (!(request.resource == kPodRef) || !request.subresource.empty()) continue;
      if (request.verb == Request::Verb::kCreate) ++job->creations_left;
      if (request.verb == Request::Verb::kDelete) deletions.push_back(request.name);
    }
    if (expectations != nullptr && (job->creations_left > 0 || !deletions.empty())) {
      expectations->Expect(job->key, job->creations_left, std::move(deletions), context.loop.Now());
    }
    context.loop.Post([weak = weak_from_this(), job] {
      if (auto self = weak.lock()) self->Go(job);
    });
  }

  static bool SameGroup(const Request& a, const Request& b) {
    return a.verb == b.verb && a.resource == b.resource && a.subresource == b.subresource;
  }

  void Go(const std::shared_ptr<Job>& job) {
    auto& requests = job->plan.requests;
    while (job->error.ok() && job->next < requests.size() && job->under_way < kAtOnce) {
      Request& request = requests[job->next];
      const bool first = job->next == 0 || !SameGroup(requests[job->next - 1], request);
      if (first) {
        if (job->under_way > 0) return;
        job->batch = request.verb == Request::Verb::kCreate ? 1 : kAtOnce;
        job->batch_left = job->batch;
      } else if (job->batch_left == 0) {
        if (job->under_way > 0) return;
        job->batch = std::min(job->batch * 2, kAtOnce);
        job->batch_left = job->batch;
      }
      --job->batch_left;
      ++job->under_way;
      const size_t index = job->next++;
      Send(request, [weak = weak_from_this(), job, index](absl::StatusOr<json::value> answer) {
        if (auto self = weak.lock()) self->Answered(job, index, answer);
      });
    }
    if (job->under_way > 0) return;
    Skip(*job);
    WriteStatus(job);
  }

  void Send(const Request& request, ApiClient::Done done) {
    const Resource r = ResourceOf(request.resource);
    std::string_view method, type = "application/json";
    switch (request.verb) {
      case Request::Verb::kCreate:
        method = "POST";
        break;
      case Request::Verb::kDelete:
        method = "DELETE";
        break;
      case Request::Verb::kMergePatch:
        method = "PATCH";
        type = kMergePatch;
        break;
      case Request::Verb::kStrategicPatch:
        method = "PATCH";
        type = kStrategicPatch;
        break;
      case Request::Verb::kUpdate:
        method = "PUT";
        break;
    }
    const bool create = request.verb == Request::Verb::kCreate && request.subresource.empty();
    context.client.Call(
        method, r.Path(request.ns, create ? std::string_view() : request.name, request.subresource),
        type, request.body.is_null() ? std::string() : ToJson(request.body), std::move(done));
  }

  void Answered(const std::shared_ptr<Job>& job, size_t index,
                const absl::StatusOr<json::value>& answer) {
    --job->under_way;
    const Request& request = job->plan.requests[index];
    const bool of_pods = request.resource == kPodRef && request.subresource.empty();
    if (answer.ok()) {
      std::string name = request.name;
      if (name.empty()) name = StringAt(*answer, {"metadata", "name"});
      Tell(*job, request.done, name);
    } else {
      if (of_pods) Unexpect(*job, request);
      if (!IsLenient(request, answer.status())) {
        Tell(*job, request.failed, base::ToStd(answer.status().message()));
        Fail(*job, answer.status());
      }
    }
    if (of_pods && request.verb == Request::Verb::kCreate) --job->creations_left;
    Go(job);
  }

  // What will not be sent any more.
  void Skip(Job& job) {
    for (; job.next < job.plan.requests.size(); ++job.next) {
      const Request& request = job.plan.requests[job.next];
      if (request.resource == kPodRef && request.subresource.empty()) Unexpect(job, request);
    }
  }

  void Unexpect(const Job& job, const Request& request) {
    if (expectations == nullptr) return;
    if (request.verb == Request::Verb::kCreate) expectations->Created(job.key);
    if (request.verb == Request::Verb::kDelete) expectations->Deleted(job.key, request.name);
  }

  void WriteStatus(const std::shared_ptr<Job>& job) {
    json::object patch;
    if (job->plan.status.has_value() && (job->error.ok() || !job->plan.status_needs_requests)) {
      patch = ShallowPatch(ObjectAt(job->object, {"status"}), *job->plan.status);
    }
    if (patch.empty()) return job->done(job->error);
    // Of the object that was looked at, not of one that has the same name by now.
    const json::value body = {{"metadata", {{"uid", UidOf(job->object)}}},
                              {"status", std::move(patch)}};
    context.client.Patch(
        resource, job->key.ns, job->key.name, kMergePatch, body,
        [job](absl::StatusOr<json::value> answer) {
          if (!answer.ok() && !IsReason(answer.status(), "NotFound")) Fail(*job, answer.status());
          job->done(job->error);
        },
        "status");
  }

  // What is tried again will not say so by itself. (Conflicts are everyday.)
  static void Fail(Job& job, const absl::Status& error) {
    if (!IsReason(error, "Conflict")) {
      base::Log().warn("{} {}: {}", StringAt(job.object, {"kind"}), job.key.ToString(),
                       base::ToStd(error.message()));
    }
    if (job.error.ok()) job.error = error;
  }

  void Tell(const Job& job, const Note& note, std::string_view value) {
    if (note.reason.empty()) return;
    context.events.RecordAs(component, RefOf(resource.api_version(), kind, job.object),
                            note.warning ? EventType::kWarning : EventType::kNormal, note.reason,
                            Filled(note.message, value));
  }

  ControllerContext& context;
  const Resource resource;
  const std::string kind, component;
  Expectations* const expectations;
};

PlanRunner::PlanRunner(ControllerContext& context, Resource resource, std::string kind,
                       std::string component, Expectations* expectations)
    : impl_(std::make_shared<Impl>(context, std::move(resource), std::move(kind),
                                   std::move(component), expectations)) {}
PlanRunner::~PlanRunner() = default;

void PlanRunner::Run(const json::object& object, Plan plan,
                     absl::AnyInvocable<void(absl::Status)> done) {
  impl_->Run(object, std::move(plan), std::move(done));
}

}  // namespace keel::orchestrator
