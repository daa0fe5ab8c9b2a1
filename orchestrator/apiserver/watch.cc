#include <algorithm>
#include <random>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/object_api.h"
#include "orchestrator/apiserver/object_selector.h"
#include "orchestrator/apiserver/read_options.h"
#include "orchestrator/apiserver/watch_socket.h"
#include "orchestrator/apiserver/watch_stream.h"
#include "rpc/websocket.h"

namespace keel::orchestrator {

namespace {

// As kube-apiserver: between half an hour and an hour, so that clients do not all come back at
// once.
base::Duration DefaultTimeout() {
  static std::minstd_rand random{std::random_device{}()};
  return std::chrono::seconds(1800 + random() % 1800);
}

}  // namespace

void ObjectApi::Watch(RequestPtr request, KindPtr kind) {
  auto options = ReadOptions::Parse(request->info.query, true);
  if (!options.ok()) return request->Fail(options.status());
  auto selector = ObjectSelector::Parse(
      *SelectableOf(context_.kinds, kind), request->info.ns, request->info.name,
      request->info.query.Get("labelSelector"), request->info.query.Get("fieldSelector"));
  if (!selector.ok()) return request->Fail(selector.status());
  // YAML has no frames: watches are JSON.
  request->format.yaml = request->format.pretty = false;

  auto begin = [this, request, kind, options = *options,
                selector = *std::move(selector)](absl::Status status) mutable {
    if (!status.ok()) return request->Fail(status);
    ResourceCache& resource = context_.cache.Resource(kind->stored_resource());
    const std::string& version = options.resource_version;
    const bool from_now = version.empty() || version == "0";
    WatchPlan plan;
    plan.bookmarks = options.bookmarks;
    plan.timeout = options.timeout_seconds > 0 ? std::chrono::seconds(options.timeout_seconds)
                                               : DefaultTimeout();
    const bool initial = options.initial_events_set ? options.send_initial_events : from_now;
    if (initial) {
      resource.ForEach(selector.ns(), "", "", [&](const CachedObjectPtr& object) {
        if (selector.Matches(*object)) plan.initial.push_back(object);
        return true;
      });
      plan.revision = context_.cache.revision();
      plan.bookmark_after_initial = options.send_initial_events && options.bookmarks;
    } else if (from_now) {
      plan.revision = context_.cache.revision();
    } else {
      plan.revision = options.revision;
      if (plan.revision < resource.ring().oldest()) {
        return request->Fail(Expired(base::StrCat("too old resource version: ", plan.revision, " (",
                                                  resource.ring().oldest(), ")")));
      }
    }
    auto view = presenter_.ViewOf(kind, request->format, request->info.query);
    auto start = [this, view = std::move(view), selector = std::move(selector),
                  plan = std::move(plan)](std::shared_ptr<WatchSink> sink) mutable {
      auto stream =
          std::make_shared<WatchStream>(std::move(sink), context_.loop, context_.cache, presenter_,
                                        std::move(view), std::move(selector), std::move(plan));
      stream->Go();
      return stream;
    };
    if (rpc::WantsWebSocket(request->http)) return WatchOverWebSocket(*request, std::move(start));
    request->Stream(kJsonType, [start = std::move(start)](rpc::ServerCallPtr call) mutable {
      return start(SinkOf(std::move(call)));
    });
  };
  if (options->resource_version.empty()) return context_.cache.WhenCurrent(std::move(begin));
  // A revision that is yet to come is waited for.
  context_.cache.WhenAt(options->revision, std::move(begin));
}

}  // namespace keel::orchestrator
