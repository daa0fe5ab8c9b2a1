// Puts pods on a cluster through its API, and measures: how long calls take, how long until pods
// are bound and run, how many are bound a second.
//
//   PodLoad load(*client, {.pods = 3000, .rate = 100, .until = PodLoad::Until::kRunning});
//   load.Start([&](absl::Status status) { std::cout << ToPrettyJson(load.Report()); });
//
// With a rate it is an open loop: a create that is late counts from when it was due. Between
// creates it reads, lists and patches pods at `reads_per_s`, and all calls count as API calls.
// Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "bench/histogram.h"
#include "orchestrator/client/informer.h"

namespace keel::bench {

struct PodLoadOptions {
  uint32_t pods = 1000;
  bool create = true;  // else only watches what others create
  double rate = 0;     // creates a second; 0: as fast as `concurrency` clients can
  uint32_t concurrency = 32;
  uint32_t namespaces = 10;
  uint32_t first = 0;     // number of the first pod; pods of lower ones are not counted
  bool affinity = false;  // each pod keeps away from the nodes of its group, and wants a zone
  uint32_t group_size = 100;
  double reads_per_s = 0;
  enum class Until { kCreated, kBound, kRunning } until = Until::kRunning;
  base::Duration timeout = std::chrono::minutes(10);
};

class PodLoad {
 public:
  using Until = PodLoadOptions::Until;

  PodLoad(orchestrator::ApiClient& client, PodLoadOptions options);
  ~PodLoad();

  // `done` once: OK when all pods are where they should come, else why not. The namespaces are
  // made first.
  void Start(std::function<void(absl::Status)> done);
  orchestrator::json::object Report() const;

 private:
  struct Info {  // of a pod, from the watch
    bool bound = false, running = false;
    static Info Parse(const orchestrator::json::object& pod);
  };
  struct Times {
    base::TimePoint due{};
    bool bound = false, running = false;
  };

  void CreateNamespaces(uint32_t next);
  void WaitForAccount(uint32_t next);
  void Begin();
  void Pace();
  void Create(base::TimePoint due);
  void Created(base::TimePoint due, const absl::Status& status);
  void Read();
  void OnPod(const orchestrator::ObjectKey& key, const Info* now);
  void FinishIfDone();
  void Finish(absl::Status status);
  std::string NamespaceOf(uint32_t pod) const;
  orchestrator::json::value PodObject(uint32_t pod) const;

  orchestrator::ApiClient& client_;
  const PodLoadOptions options_;
  std::function<void(absl::Status)> done_;
  orchestrator::Informer<Info> informer_;
  absl::flat_hash_map<orchestrator::ObjectKey, Times> times_;
  uint32_t next_ = 0, in_flight_ = 0, created_ = 0, bound_ = 0, running_ = 0;
  uint32_t reads_ = 0, failed_reads_ = 0;
  base::TimePoint began_{}, ended_{}, last_created_{}, first_bound_{}, last_bound_{};
  Histogram create_ns_, read_ns_, list_ns_, patch_ns_, api_ns_, bound_ns_, running_ns_;
  std::string first_error_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace keel::bench
