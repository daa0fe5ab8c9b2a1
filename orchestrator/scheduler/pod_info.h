// What the scheduler knows of a pod: its class (all that decides where it may run, shared by the
// pods of one template) and what is its own.
//
//   PodParser parser(vocabulary);
//   PodPtr pod = parser.Parse(object);
//   pod->cls->requests.Get(kCpu)
//
// A class is parsed once: pods whose deciding fields are equal share it, also the work that is
// remembered by class (core.h). Immutable; one thread only. The vocabulary must outlive them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/scheduler/resources.h"
#include "orchestrator/scheduler/selector.h"
#include "orchestrator/scheduler/term_index.h"

namespace keel::orchestrator::sched {

// The names that pods and nodes share.
struct Vocabulary {
  Symbols symbols{};
  TermIndex terms{};
  std::vector<Symbol> resource_names{};  // by position in Resources
  absl::flat_hash_map<Symbol, size_t> resources{};

  Vocabulary();
  size_t Resource(std::string_view name);  // its position
  std::string_view ResourceName(size_t position) const {
    return symbols.Text(resource_names[position]);
  }
};

enum class TaintEffect : uint8_t { kAny, kNoSchedule, kPreferNoSchedule, kNoExecute };
TaintEffect ParseTaintEffect(std::string_view text);

struct Taint {
  Symbol key = 0, value = 0;
  TaintEffect effect = TaintEffect::kNoSchedule;
  friend bool operator==(const Taint&, const Taint&) = default;
};

struct Toleration {
  Symbol key = 0;  // 0: every key (with `exists`)
  bool exists = false;
  Symbol value = 0;
  TaintEffect effect = TaintEffect::kAny;

  bool Tolerates(const Taint& taint) const {
    return (effect == TaintEffect::kAny || effect == taint.effect) &&
           (key == 0 ? exists : key == taint.key) && (exists || value == taint.value);
  }
};
bool Tolerated(const std::vector<Toleration>& tolerations, const Taint& taint);

struct HostPort {
  Symbol ip = 0;  // 0: all addresses
  Symbol protocol = 0;
  int port = 0;

  bool Conflicts(const HostPort& other) const {
    return port == other.port && protocol == other.protocol &&
           (ip == 0 || other.ip == 0 || ip == other.ip);
  }
};

struct WeightedTerm {
  TermPtr term;
  int64_t weight = 0;  // below 0: anti-affinity
};

struct SpreadConstraint {
  TermPtr term;
  int max_skew = 1;
  int min_domains = 1;
  bool hard = true;            // DoNotSchedule
  bool honor_affinity = true;  // nodeAffinityPolicy
  bool honor_taints = false;   // nodeTaintsPolicy
  bool matches_self = false;
};

struct PodClass {
  uint64_t id = 0;  // of this class alone, never used again
  Symbol ns = 0;
  LabelGroupPtr group{};
  Resources requests{};  // with init containers, sidecars and overhead
  // For scores, where a container that asks for nothing counts as asking for a little.
  int64_t score_cpu = 0, score_memory = 0;
  int priority = 0;
  bool never_preempts = false;

  std::vector<std::pair<Symbol, Symbol>> node_selector{};
  std::optional<NodeSelector> required_nodes{};
  struct PreferredNodes {
    NodeTerm term;
    int64_t weight = 0;
  };
  std::vector<PreferredNodes> preferred_nodes{};
  std::vector<Toleration> tolerations{};
  std::vector<HostPort> host_ports{};

  // One term per topology key and term of required affinity; each counts pods that match all terms.
  std::vector<TermPtr> affinity{};
  bool affinity_matches_self = false;
  std::vector<TermPtr> anti_affinity{};
  std::vector<WeightedTerm> preferred{};
  // What its required affinity is to the scores of pods that come after.
  std::vector<TermPtr> affinity_bearers{};
  std::vector<SpreadConstraint> spread{};

  std::vector<Symbol> images{};  // normalized names
  int containers = 0;
  std::vector<std::string> claims{};  // names of PersistentVolumeClaims
};
using PodClassPtr = std::shared_ptr<const PodClass>;

struct PodInfo {
  std::string ns{}, name{}, uid{};
  PodClassPtr cls{};
  std::string node{};       // spec.nodeName
  std::string nominated{};  // status.nominatedNodeName
  int64_t created_s = 0;    // seconds since 1970
  int64_t started_s = 0;    // status.startTime; 0 when it has not been
  bool terminating = false;
  bool finished = false;         // Succeeded or Failed
  bool gated = false;            // has scheduling gates
  bool ours = true;              // schedulerName is default-scheduler
  bool scheduled_false = false;  // a PodScheduled condition says False
  std::string message{};         // of that condition

  std::string Key() const { return ns + "/" + name; }
};
using PodPtr = std::shared_ptr<const PodInfo>;

class PodParser {
 public:
  explicit PodParser(Vocabulary& words) : words_(words) {}

  PodPtr Parse(const json::object& pod);
  // The class alone (also of what is no pod yet, for tests).
  PodClassPtr ClassOf(const json::object& pod);
  size_t class_count() const { return classes_.size(); }

 private:
  struct Fingerprint {
    uint64_t a = 0, b = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Fingerprint& f) {
      return H::combine(std::move(h), f.a, f.b);
    }
  };
  static Fingerprint FingerprintOf(const json::object& pod);
  std::shared_ptr<PodClass> ParseClass(const json::object& pod);
  void ParseRequests(const json::object& spec, PodClass& cls);
  void ParseNodeAffinity(const json::object& affinity, PodClass& cls);
  void ParsePodAffinity(const json::object& affinity, PodClass& cls);
  void ParseSpread(const json::object& spec, PodClass& cls);
  TermSelector ParseTerm(const json::value& term, const PodClass& cls);
  uint32_t TopologyOf(const json::value& term);

  Vocabulary& words_;
  absl::flat_hash_map<Fingerprint, std::weak_ptr<const PodClass>> classes_;
  size_t sweep_at_ = 1024;
  uint64_t next_id_ = 1;
};

}  // namespace keel::orchestrator::sched
