// Events (core v1) about objects: what `kubectl describe` shows at its end.
//
//   EventRecorder events(client, "deployment-controller", now);
//   events.Record(RefOf(kDeployments, "Deployment", object), EventType::kNormal,
//   "ScalingReplicaSet",
//                 "Scaled up replica set web-5d8 to 3");
//
// The same event again raises the count and lastTimestamp of the one that exists, by a patch. Each
// object has a bucket of 25 new events that refills by one in five minutes, as Kubernetes'; more
// are dropped, as are events while 1,000 wait to be sent. Nothing is reported to the caller: events
// are for people and must hold up no one. Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

struct ObjectReference {
  std::string api_version, kind, ns, name, uid;
  std::string resource_version{};
  std::string field_path{};
};
// From an object's metadata.
ObjectReference RefOf(std::string_view api_version, std::string_view kind,
                      const json::object& object);

enum class EventType : uint8_t { kNormal, kWarning };

class EventRecorder {
 public:
  // `now`: the wall clock.
  EventRecorder(ApiClient& client, std::string component, std::function<absl::Time()> now,
                std::string host = "");
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void Record(const ObjectReference& about, EventType type, std::string_view reason,
              std::string_view message);
  // In the name of another component ("replicaset-controller" in the controller manager).
  void RecordAs(std::string_view component, const ObjectReference& about, EventType type,
                std::string_view reason, std::string_view message);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace keel::orchestrator
