// How a Pod's JSON becomes a PodInfo and, once per template, a PodClass.
#include "absl/time/time.h"
#include "base/strings.h"
#include "orchestrator/scheduler/amounts.h"
#include "orchestrator/scheduler/pod_info.h"

namespace keel::orchestrator::sched {
namespace {

// What a container counts as in scores when it asks for nothing (Kubernetes' defaults).
constexpr int64_t kDefaultCpuMilli = 100;
constexpr int64_t kDefaultMemory = 200 * 1024 * 1024;

class Hasher {
 public:
  void Mix(uint64_t h) {
    a = (a ^ h) * 0x9E3779B97F4A7C15u;
    a ^= a >> 32;
    b = (b + h) * 0xD6E8FEB86659FD93u + 0x632BE59BD9B4E019u;
    b ^= b >> 29;
  }
  void Mix(std::string_view text) { Mix(absl::Hash<absl::string_view>()(base::ToAbsl(text))); }
  void Mix(const json::value& value) {
    Mix(static_cast<uint64_t>(value.kind()));
    switch (value.kind()) {
      case json::kind::object:
        for (const auto& [key, member] : value.get_object()) {
          Mix(std::string_view(key.data(), key.size()));
          Mix(member);
        }
        Mix(value.get_object().size());
        break;
      case json::kind::array:
        for (const json::value& element : value.get_array()) Mix(element);
        Mix(value.get_array().size());
        break;
      case json::kind::string:
        Mix(View(value.get_string()));
        break;
      case json::kind::int64:
        Mix(static_cast<uint64_t>(value.get_int64()));
        break;
      case json::kind::uint64:
        Mix(value.get_uint64());
        break;
      case json::kind::double_:
        Mix(absl::Hash<double>()(value.get_double()));
        break;
      case json::kind::bool_:
        Mix(value.get_bool() ? 1 : 2);
        break;
      case json::kind::null:
        break;
    }
  }
  // The member with its name, if there is one.
  void MixMember(const json::object& in, std::string_view name) {
    const json::value* member = Find(in, {name});
    if (member == nullptr) return;
    Mix(name);
    Mix(*member);
  }

  uint64_t a = 1, b = 2;
};

int64_t SecondsAt(const json::object& in, JsonPath path) {
  const std::string_view text = StringAt(in, path);
  absl::Time time;
  if (text.empty() || !absl::ParseTime(absl::RFC3339_full, base::ToAbsl(text), &time, nullptr)) {
    return 0;
  }
  return absl::ToUnixSeconds(time);
}

bool IsSidecar(const json::value& container) {
  return StringAt(container, {"restartPolicy"}) == "Always";
}

}  // namespace

PodPtr PodParser::Parse(const json::object& pod) {
  auto out = std::make_shared<PodInfo>();
  const json::object& meta = ObjectAt(pod, {"metadata"});
  const json::object& spec = ObjectAt(pod, {"spec"});
  out->ns = StringAt(meta, {"namespace"});
  out->name = StringAt(meta, {"name"});
  out->uid = StringAt(meta, {"uid"});
  out->cls = ClassOf(pod);
  out->node = StringAt(spec, {"nodeName"});
  out->nominated = StringAt(pod, {"status", "nominatedNodeName"});
  out->created_s = SecondsAt(meta, {"creationTimestamp"});
  out->started_s = SecondsAt(pod, {"status", "startTime"});
  out->terminating = Find(meta, {"deletionTimestamp"}) != nullptr;
  const std::string_view phase = StringAt(pod, {"status", "phase"});
  out->finished = phase == "Succeeded" || phase == "Failed";
  out->gated = !ArrayAt(spec, {"schedulingGates"}).empty();
  const std::string_view scheduler = StringAt(spec, {"schedulerName"});
  out->ours = scheduler.empty() || scheduler == "default-scheduler";
  if (out->node.empty()) {
    for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
      if (StringAt(condition, {"type"}) != "PodScheduled") continue;
      out->scheduled_false = StringAt(condition, {"status"}) == "False";
      out->message = StringAt(condition, {"message"});
    }
  }
  return out;
}

PodParser::Fingerprint PodParser::FingerprintOf(const json::object& pod) {
  Hasher hash;
  const json::object& meta = ObjectAt(pod, {"metadata"});
  const json::object& spec = ObjectAt(pod, {"spec"});
  hash.MixMember(meta, "namespace");
  hash.MixMember(meta, "labels");
  for (std::string_view name :
       {"nodeSelector", "affinity", "tolerations", "priority", "preemptionPolicy",
        "topologySpreadConstraints", "overhead", "resources", "hostNetwork"}) {
    hash.MixMember(spec, name);
  }
  for (std::string_view list : {"containers", "initContainers"}) {
    hash.Mix(list);
    for (const json::value& container : ArrayAt(spec, {list})) {
      const json::object* members = container.if_object();
      if (members == nullptr) continue;
      for (std::string_view name : {"image", "ports", "resources", "restartPolicy"}) {
        hash.MixMember(*members, name);
      }
      hash.Mix(uint64_t{7});
    }
  }
  for (const json::value& volume : ArrayAt(spec, {"volumes"})) {
    hash.Mix(StringAt(volume, {"persistentVolumeClaim", "claimName"}));
    if (Find(volume, {"ephemeral"}) != nullptr) {
      // Its claim bears the pod's name.
      hash.Mix(StringAt(meta, {"name"}));
      hash.Mix(StringAt(volume, {"name"}));
    }
  }
  return {hash.a, hash.b};
}

PodClassPtr PodParser::ClassOf(const json::object& pod) {
  const Fingerprint fingerprint = FingerprintOf(pod);
  std::weak_ptr<const PodClass>& slot = classes_[fingerprint];
  if (PodClassPtr known = slot.lock()) return known;
  PodClassPtr made = ParseClass(pod);
  slot = made;
  if (classes_.size() >= sweep_at_) {
    absl::erase_if(classes_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(1024, 2 * classes_.size());
  }
  return made;
}

std::shared_ptr<PodClass> PodParser::ParseClass(const json::object& pod) {
  auto cls = std::make_shared<PodClass>();
  const json::object& meta = ObjectAt(pod, {"metadata"});
  const json::object& spec = ObjectAt(pod, {"spec"});
  cls->id = next_id_++;
  cls->ns = words_.symbols.Of(StringAt(meta, {"namespace"}));
  cls->group = words_.terms.Group(cls->ns, ParseLabels(ObjectAt(meta, {"labels"}), words_.symbols));
  cls->priority = static_cast<int>(IntAt(spec, {"priority"}));
  cls->never_preempts = StringAt(spec, {"preemptionPolicy"}) == "Never";
  ParseRequests(spec, *cls);

  const LabelSet selector = ParseLabels(ObjectAt(spec, {"nodeSelector"}), words_.symbols);
  cls->node_selector = selector.labels();
  const json::object& affinity = ObjectAt(spec, {"affinity"});
  ParseNodeAffinity(affinity, *cls);
  ParsePodAffinity(affinity, *cls);
  ParseSpread(spec, *cls);

  for (const json::value& t : ArrayAt(spec, {"tolerations"})) {
    const std::string_view key = StringAt(t, {"key"});
    cls->tolerations.push_back({.key = key.empty() ? 0 : words_.symbols.Of(key),
                                .exists = StringAt(t, {"operator"}) == "Exists",
                                .value = words_.symbols.Of(StringAt(t, {"value"})),
                                .effect = ParseTaintEffect(StringAt(t, {"effect"}))});
  }
  const auto add_ports = [&](const json::value& container) {
    for (const json::value& port : ArrayAt(container, {"ports"})) {
      const int64_t number = IntAt(port, {"hostPort"});
      if (number <= 0) continue;
      const std::string_view ip = StringAt(port, {"hostIP"});
      const std::string_view protocol = StringAt(port, {"protocol"});
      cls->host_ports.push_back({.ip = ip.empty() || ip == "0.0.0.0" ? 0 : words_.symbols.Of(ip),
                                 .protocol = words_.symbols.Of(protocol.empty() ? "TCP" : protocol),
                                 .port = static_cast<int>(number)});
    }
  };
  for (const json::value& container : ArrayAt(spec, {"containers"})) {
    ++cls->containers;
    cls->images.push_back(words_.symbols.Of(NormalizedImage(StringAt(container, {"image"}))));
    add_ports(container);
  }
  for (const json::value& container : ArrayAt(spec, {"initContainers"})) {
    ++cls->containers;
    cls->images.push_back(words_.symbols.Of(NormalizedImage(StringAt(container, {"image"}))));
    if (IsSidecar(container)) add_ports(container);
  }
  for (const json::value& volume : ArrayAt(spec, {"volumes"})) {
    const std::string_view claim = StringAt(volume, {"persistentVolumeClaim", "claimName"});
    if (!claim.empty()) cls->claims.emplace_back(claim);
    if (Find(volume, {"ephemeral"}) != nullptr) {
      cls->claims.push_back(
          base::StrCat(StringAt(meta, {"name"}), "-", StringAt(volume, {"name"})));
    }
  }
  return cls;
}

// Containers run at once; init containers run before them one after the other, each beside the
// sidecars that were started before it (Kubernetes' PodRequests).
void PodParser::ParseRequests(const json::object& spec, PodClass& cls) {
  struct Sum {
    Resources asked;
    int64_t cpu = 0, memory = 0;  // for scores
    void Add(const Sum& other) {
      asked.Add(other.asked);
      cpu += other.cpu;
      memory += other.memory;
    }
    void Max(const Sum& other) {
      asked.Max(other.asked);
      cpu = std::max(cpu, other.cpu);
      memory = std::max(memory, other.memory);
    }
  };
  const auto of = [&](const json::value& container) {
    const json::object& amounts = ObjectAt(container, {"resources", "requests"});
    Sum sum{.asked = ParseResources(amounts, words_)};
    sum.cpu = amounts.contains("cpu") ? sum.asked.Get(kCpu) : kDefaultCpuMilli;
    sum.memory = amounts.contains("memory") ? sum.asked.Get(kMemory) : kDefaultMemory;
    return sum;
  };
  Sum running, sidecars, peak;
  for (const json::value& container : ArrayAt(spec, {"containers"})) running.Add(of(container));
  for (const json::value& container : ArrayAt(spec, {"initContainers"})) {
    Sum sum = of(container);
    if (IsSidecar(container)) {
      running.Add(sum);
      sidecars.Add(sum);
      peak.Max(sidecars);
    } else {
      sum.Add(sidecars);
      peak.Max(sum);
    }
  }
  running.Max(peak);
  const json::object& of_pod = ObjectAt(spec, {"resources", "requests"});
  const Resources whole = ParseResources(of_pod, words_);
  for (const auto& [name, value] : of_pod) {
    const size_t resource = words_.Resource({name.data(), name.size()});
    running.asked.Set(resource, whole.Get(resource));
    if (resource == kCpu) running.cpu = whole.Get(kCpu);
    if (resource == kMemory) running.memory = whole.Get(kMemory);
  }
  const Resources overhead = ParseResources(ObjectAt(spec, {"overhead"}), words_);
  running.asked.Add(overhead);
  cls.requests = running.asked;
  cls.score_cpu = running.cpu + overhead.Get(kCpu);
  cls.score_memory = running.memory + overhead.Get(kMemory);
}

void PodParser::ParseNodeAffinity(const json::object& affinity, PodClass& cls) {
  const json::object& nodes = ObjectAt(affinity, {"nodeAffinity"});
  if (const json::value* required = Find(nodes, {"requiredDuringSchedulingIgnoredDuringExecution"});
      required != nullptr && required->is_object()) {
    cls.required_nodes = ParseNodeSelector(*required, words_.symbols);
  }
  for (const json::value& p : ArrayAt(nodes, {"preferredDuringSchedulingIgnoredDuringExecution"})) {
    const json::value* preference = Find(p, {"preference"});
    const int64_t weight = IntAt(p, {"weight"});
    if (preference == nullptr || weight == 0) continue;
    cls.preferred_nodes.push_back({ParseNodeTerm(*preference, words_.symbols), weight});
  }
}

uint32_t PodParser::TopologyOf(const json::value& term) {
  return words_.terms.Topology(words_.symbols.Of(StringAt(term, {"topologyKey"})));
}

TermSelector PodParser::ParseTerm(const json::value& term, const PodClass& cls) {
  TermSelector out;
  out.pods = ParseLabelSelector(Find(term, {"labelSelector"}), words_.symbols);
  const auto add_keys = [&](std::string_view name, Requirement::Op op) {
    for (const json::value& key : ArrayAt(term, {name})) {
      if (!key.is_string()) continue;
      const Symbol symbol = words_.symbols.Of(View(key.get_string()));
      const Symbol value = cls.group->labels.Get(symbol);
      if (value != 0) out.pods.all.push_back({.key = symbol, .op = op, .values = {value}});
    }
  };
  add_keys("matchLabelKeys", Requirement::Op::kIn);
  add_keys("mismatchLabelKeys", Requirement::Op::kNotIn);
  std::sort(out.pods.all.begin(), out.pods.all.end());
  out.pods.all.erase(std::unique(out.pods.all.begin(), out.pods.all.end()), out.pods.all.end());

  for (const json::value& ns : ArrayAt(term, {"namespaces"})) {
    if (ns.is_string()) out.namespaces.push_back(words_.symbols.Of(View(ns.get_string())));
  }
  out.namespace_labels = ParseLabelSelector(Find(term, {"namespaceSelector"}), words_.symbols);
  if (out.namespaces.empty() && out.namespace_labels.nothing) out.namespaces.push_back(cls.ns);
  std::sort(out.namespaces.begin(), out.namespaces.end());
  return out;
}

void PodParser::ParsePodAffinity(const json::object& affinity, PodClass& cls) {
  static constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
  static constexpr std::string_view kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";
  TermIndex& terms = words_.terms;

  const json::array& together = ArrayAt(affinity, {"podAffinity", kRequired});
  std::vector<TermSelector> all;
  for (const json::value& term : together) {
    all.push_back(ParseTerm(term, cls));
    cls.affinity_bearers.push_back(
        terms.Intern({.selectors = {all.back()}, .topology = TopologyOf(term)}));
  }
  for (const json::value& term : together) {
    cls.affinity.push_back(terms.Intern({.selectors = all, .topology = TopologyOf(term)}));
  }
  for (const json::value& term : ArrayAt(affinity, {"podAntiAffinity", kRequired})) {
    cls.anti_affinity.push_back(
        terms.Intern({.selectors = {ParseTerm(term, cls)}, .topology = TopologyOf(term)}));
  }
  for (const auto& [kind, sign] : {std::pair("podAffinity", 1), std::pair("podAntiAffinity", -1)}) {
    for (const json::value& p : ArrayAt(affinity, {kind, kPreferred})) {
      const json::value* term = Find(p, {"podAffinityTerm"});
      const int64_t weight = IntAt(p, {"weight"});
      if (term == nullptr || weight == 0) continue;
      cls.preferred.push_back(
          {terms.Intern({.selectors = {ParseTerm(*term, cls)}, .topology = TopologyOf(*term)}),
           sign * weight});
    }
  }
  const auto& own = cls.group->terms;
  cls.affinity_matches_self =
      std::all_of(cls.affinity.begin(), cls.affinity.end(), [&](const TermPtr& term) {
        return std::find(own.begin(), own.end(), term.get()) != own.end();
      });
}

void PodParser::ParseSpread(const json::object& spec, PodClass& cls) {
  for (const json::value& c : ArrayAt(spec, {"topologySpreadConstraints"})) {
    TermSelector selector = ParseTerm(c, cls);
    selector.namespaces = {cls.ns};
    SpreadConstraint out;
    out.term = words_.terms.Intern(
        {.selectors = {std::move(selector)}, .topology = TopologyOf(c), .live_only = true});
    out.max_skew = static_cast<int>(IntAt(c, {"maxSkew"}, 1));
    out.min_domains = static_cast<int>(IntAt(c, {"minDomains"}, 1));
    out.hard = StringAt(c, {"whenUnsatisfiable"}) != "ScheduleAnyway";
    out.honor_affinity = StringAt(c, {"nodeAffinityPolicy"}) != "Ignore";
    out.honor_taints = StringAt(c, {"nodeTaintsPolicy"}) == "Honor";
    const auto& own = cls.group->terms;
    out.matches_self = std::find(own.begin(), own.end(), out.term.get()) != own.end();
    cls.spread.push_back(std::move(out));
  }
}

}  // namespace keel::orchestrator::sched
