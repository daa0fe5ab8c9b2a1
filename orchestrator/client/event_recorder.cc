#include "orchestrator/client/event_recorder.h"

#include <algorithm>
#include <list>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

const Resource kEvents{"", "v1", "events"};
constexpr size_t kMaxWaiting = 1000;
constexpr size_t kMaxAtOnce = 4;
constexpr size_t kMaxRemembered = 4096;
constexpr double kBurst = 25;
constexpr double kRefillPerSecond = 1.0 / 300;

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

// A map that forgets who was not asked for longest.
template <typename Value>
class Recent {
 public:
  Value& operator[](const std::string& key) {
    auto found = index_.find(key);
    if (found != index_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return found->second->second;
    }
    if (index_.size() >= kMaxRemembered) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(key, Value());
    index_[key] = order_.begin();
    return order_.front().second;
  }
  void Forget(const std::string& key) {
    auto found = index_.find(key);
    if (found == index_.end()) return;
    order_.erase(found->second);
    index_.erase(found);
  }

 private:
  std::list<std::pair<std::string, Value>> order_;
  absl::flat_hash_map<std::string, typename std::list<std::pair<std::string, Value>>::iterator>
      index_;
};

}  // namespace

ObjectReference RefOf(std::string_view api_version, std::string_view kind,
                      const json::object& object) {
  return {.api_version = std::string(api_version),
          .kind = std::string(kind),
          .ns = std::string(StringAt(object, {"metadata", "namespace"})),
          .name = std::string(StringAt(object, {"metadata", "name"})),
          .uid = std::string(StringAt(object, {"metadata", "uid"})),
          .resource_version = std::string(StringAt(object, {"metadata", "resourceVersion"}))};
}

struct EventRecorder::Impl : std::enable_shared_from_this<Impl> {
  // An event that stands in the API, or is on its way there.
  struct Known {
    std::string ns, name;
    int64_t count = 0;
  };
  struct Bucket {
    double tokens = kBurst;
    absl::Time filled = absl::InfinitePast();
  };
  struct Waiting {
    std::string key;  // of `known`
    json::object event;
    bool patch = false;
  };

  Impl(ApiClient& c, std::string name, std::function<absl::Time()> n, std::string h)
      : client(c), component(std::move(name)), host(std::move(h)), now(std::move(n)) {}

  void Record(std::string_view by, const ObjectReference& about, EventType type,
              std::string_view reason, std::string_view message) {
    const absl::Time time = now();
    const std::string object =
        StrCat(by, "/", about.kind, "/", about.ns, "/", about.name, "/", about.uid);
    const std::string key = StrCat(object, "/", about.field_path, "/", reason, "/", message, "/",
                                   type == EventType::kNormal ? "N" : "W");
    Bucket& bucket = buckets[object];
    if (bucket.filled != absl::InfinitePast()) {
      bucket.tokens = std::min(
          kBurst, bucket.tokens + absl::ToDoubleSeconds(time - bucket.filled) * kRefillPerSecond);
    }
    bucket.filled = time;
    if (bucket.tokens < 1 || waiting.size() >= kMaxWaiting) return;
    bucket.tokens -= 1;

    Known& event = known[key];
    Waiting next{.key = key};
    const bool is_new = event.count++ == 0;
    if (is_new) {
      event.ns = about.ns.empty() ? "default" : about.ns;
      event.name = absl::StrCat(about.name, ".", absl::Hex(absl::ToUnixNanos(time) + serial++));
      next.event = NewEvent(by, about, type, reason, message, time, event);
    } else {
      next.patch = true;
      next.event = {{"count", event.count}, {"lastTimestamp", Rfc3339(time)}};
    }
    waiting.push_back(std::move(next));
    Pump();
  }

  json::object NewEvent(std::string_view by, const ObjectReference& about, EventType type,
                        std::string_view reason, std::string_view message, absl::Time time,
                        const Known& event) const {
    json::object involved{
        {"kind", about.kind}, {"name", about.name}, {"apiVersion", about.api_version}};
    const auto add = [&](const char* name, const std::string& value) {
      if (!value.empty()) involved[name] = value;
    };
    add("namespace", about.ns);
    add("uid", about.uid);
    add("resourceVersion", about.resource_version);
    add("fieldPath", about.field_path);
    json::object source{{"component", by}};
    if (!host.empty()) source["host"] = host;
    return {{"apiVersion", "v1"},
            {"kind", "Event"},
            {"metadata", {{"name", event.name}, {"namespace", event.ns}}},
            {"involvedObject", std::move(involved)},
            {"reason", reason},
            {"message", message},
            {"source", std::move(source)},
            {"firstTimestamp", Rfc3339(time)},
            {"lastTimestamp", Rfc3339(time)},
            {"count", event.count},
            {"type", type == EventType::kNormal ? "Normal" : "Warning"},
            {"eventTime", nullptr},
            {"reportingComponent", by},
            {"reportingInstance", host}};
  }

  void Pump() {
    while (sending < kMaxAtOnce && !waiting.empty()) {
      Waiting next = std::move(waiting.front());
      waiting.pop_front();
      const Known event = known[next.key];
      if (event.count == 0) continue;  // forgotten meanwhile
      ++sending;
      auto done = [weak = weak_from_this(), key = next.key,
                   patch = next.patch](absl::StatusOr<json::value> answer) {
        auto self = weak.lock();
        if (self == nullptr) return;
        --self->sending;
        // One that is gone (they expire) or never came to be is made anew the next time.
        if (!answer.ok() && (!patch || IsReason(answer.status(), "NotFound"))) {
          self->known.Forget(key);
        }
        self->Pump();
      };
      if (next.patch) {
        client.Patch(kEvents, event.ns, event.name, kMergePatch, next.event, std::move(done));
      } else {
        client.Create(kEvents, event.ns, next.event, std::move(done));
      }
    }
  }

  ApiClient& client;
  const std::string component, host;
  const std::function<absl::Time()> now;
  int64_t serial = 0;
  Recent<Known> known;
  Recent<Bucket> buckets;
  std::list<Waiting> waiting;
  size_t sending = 0;
};

EventRecorder::EventRecorder(ApiClient& client, std::string component,
                             std::function<absl::Time()> now, std::string host)
    : impl_(std::make_shared<Impl>(client, std::move(component), std::move(now), std::move(host))) {
}
EventRecorder::~EventRecorder() = default;

void EventRecorder::Record(const ObjectReference& about, EventType type, std::string_view reason,
                           std::string_view message) {
  impl_->Record(impl_->component, about, type, reason, message);
}

void EventRecorder::RecordAs(std::string_view component, const ObjectReference& about,
                             EventType type, std::string_view reason, std::string_view message) {
  impl_->Record(component, about, type, reason, message);
}

}  // namespace keel::orchestrator
