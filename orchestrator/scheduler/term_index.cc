#include "orchestrator/scheduler/term_index.h"

#include "base/check.h"

namespace keel::orchestrator::sched {
namespace {

void Encode(std::string& out, uint64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void Encode(std::string& out, const LabelSelector& selector) {
  Encode(out, selector.nothing);
  Encode(out, selector.all.size());
  for (const Requirement& r : selector.all) {
    Encode(out, r.key);
    Encode(out, static_cast<uint64_t>(r.op));
    Encode(out, static_cast<uint64_t>(r.bound));
    Encode(out, r.values.size());
    for (Symbol value : r.values) Encode(out, value);
  }
}

// Equal specs, and only those, have equal texts.
std::string Encoded(const TermSpec& spec) {
  std::string out;
  Encode(out, spec.topology);
  Encode(out, spec.live_only);
  for (const TermSelector& s : spec.selectors) {
    Encode(out, s.pods);
    Encode(out, s.namespace_labels);
    Encode(out, s.namespaces.size());
    for (Symbol ns : s.namespaces) Encode(out, ns);
  }
  return out;
}

}  // namespace

void DomainCounts::Add(Symbol domain, int by) {
  if (by == 0 || domain == 0) return;
  total_ += by;
  int& count = counts_[domain];
  if (count > 0) --with_count_[static_cast<size_t>(count)];
  count += by;
  KEEL_CHECK(count >= 0, "domain=", domain, " count=", count);
  if (count == 0) {
    counts_.erase(domain);
    return;
  }
  const auto now = static_cast<size_t>(count);
  if (with_count_.size() <= now) with_count_.resize(now + 1);
  ++with_count_[now];
  least_ = std::min(least_, now);
}

int DomainCounts::Min(size_t domains) const {
  if (counts_.size() < domains || counts_.empty()) return 0;
  while (with_count_[least_] == 0) ++least_;
  return static_cast<int>(least_);
}

bool TermSelector::Matches(Symbol ns, const LabelSet& ns_labels, const LabelSet& labels) const {
  return (std::binary_search(namespaces.begin(), namespaces.end(), ns) ||
          namespace_labels.Matches(ns_labels)) &&
         pods.Matches(labels);
}

bool TermSpec::Matches(Symbol ns, const LabelSet& ns_labels, const LabelSet& labels) const {
  return std::all_of(selectors.begin(), selectors.end(),
                     [&](const TermSelector& s) { return s.Matches(ns, ns_labels, labels); });
}

TermPtr TermIndex::Intern(TermSpec spec) {
  std::string code = Encoded(spec);
  std::weak_ptr<Term>& slot = terms_[code];
  if (auto known = slot.lock()) return known;
  std::shared_ptr<Term> term(new Term, [this](Term* gone) { Forget(gone); });
  term->spec_ = std::move(spec);
  slot = term;
  for (auto& [key, weak] : groups_) {
    auto group = weak.lock();
    if (group && MatchesGroup(*term, *group)) Link(*term, *group);
  }
  return term;
}

LabelGroupPtr TermIndex::Group(Symbol ns, LabelSet labels) {
  std::weak_ptr<LabelGroup>& slot = groups_[std::pair(ns, labels)];
  if (auto known = slot.lock()) return known;
  LabelGroupPtr group(new LabelGroup{.ns = ns, .labels = std::move(labels)},
                      [this](LabelGroup* gone) { Forget(gone); });
  slot = group;
  for (auto& [code, weak] : terms_) {
    auto term = weak.lock();
    if (term && MatchesGroup(*term, *group)) Link(*term, *group);
  }
  return group;
}

uint32_t TermIndex::Topology(Symbol key) {
  for (uint32_t i = 0; i < topologies_.size(); ++i) {
    if (topologies_[i].key == key) return i;
  }
  TopologyValues& made = topologies_.emplace_back();
  made.key = key;
  for (NodeIndex node = 0; node < attached_.size(); ++node) {
    if (attached_[node]) SetValue(made, node, node_labels_[node].Get(key));
  }
  return static_cast<uint32_t>(topologies_.size() - 1);
}

void TermIndex::SetValue(TopologyValues& topology, NodeIndex node, Symbol value) {
  if (topology.value_of.size() <= node) topology.value_of.resize(node + 1);
  Symbol& slot = topology.value_of[node];
  if (slot != 0) {
    --topology.nodes;
    const int left = --topology.nodes_in[slot];
    if (left == 1) --topology.shared;
    if (left == 0) topology.nodes_in.erase(slot);
  }
  slot = value;
  if (slot != 0) {
    ++topology.nodes;
    if (++topology.nodes_in[slot] == 2) ++topology.shared;
  }
}

void TermIndex::AttachNode(NodeIndex node, const LabelSet& labels) {
  if (attached_.size() <= node) {
    attached_.resize(node + 1);
    node_labels_.resize(node + 1);
  }
  KEEL_CHECK(!attached_[node], "node=", node);
  attached_[node] = true;
  node_labels_[node] = labels;
  ++node_count_;
  for (TopologyValues& topology : topologies_) SetValue(topology, node, labels.Get(topology.key));
}

void TermIndex::DetachNode(NodeIndex node) {
  KEEL_CHECK(node < attached_.size() && attached_[node], "node=", node);
  attached_[node] = false;
  node_labels_[node] = LabelSet();
  --node_count_;
  for (TopologyValues& topology : topologies_) SetValue(topology, node, 0);
}

void TermIndex::Add(LabelGroup& group, NodeIndex node, bool terminating, int by) {
  LabelGroup::Pods& pods = group.pods[node];
  int& count = terminating ? pods.terminating : pods.live;
  count += by;
  KEEL_CHECK(count >= 0, "node=", node);
  if (pods.live == 0 && pods.terminating == 0) group.pods.erase(node);
  for (Term* term : group.terms) {
    if (terminating && term->spec_.live_only) continue;
    term->matching_.Add(ValueOn(term->spec_.topology, node), by);
  }
}

void TermIndex::AddBearer(const Term& term, NodeIndex node, int anti, int64_t weight, int by) {
  const Symbol domain = ValueOn(term.spec_.topology, node);
  if (domain == 0) return;
  // Terms are const for those who read them; they belong to this index.
  Term& own = const_cast<Term&>(term);
  Term::Bearers& bearers = own.bearers_[domain];
  bearers.anti += by * anti;
  bearers.weight += by * weight;
  own.anti_bearers_ += by * anti;
  if (weight != 0) own.weights_ += by;
  KEEL_CHECK(bearers.anti >= 0 && own.weights_ >= 0, "anti=", bearers.anti);
  if (bearers.anti == 0 && bearers.weight == 0) own.bearers_.erase(domain);
}

void TermIndex::SetNamespace(Symbol ns, LabelSet labels) {
  if (namespaces_[ns] == labels) return;
  namespaces_[ns] = std::move(labels);
  for (auto& [key, weak_group] : groups_) {
    auto group = key.first == ns ? weak_group.lock() : nullptr;
    if (!group) continue;
    for (auto& [code, weak_term] : terms_) {
      auto term = weak_term.lock();
      if (!term) continue;
      const bool linked =
          std::find(group->terms.begin(), group->terms.end(), term.get()) != group->terms.end();
      const bool matches = MatchesGroup(*term, *group);
      if (matches && !linked) Link(*term, *group);
      if (!matches && linked) Unlink(*term, *group);
    }
  }
}

bool TermIndex::MatchesGroup(const Term& term, const LabelGroup& group) const {
  static const LabelSet& none = *new LabelSet();
  auto found = namespaces_.find(group.ns);
  return term.spec_.Matches(group.ns, found == namespaces_.end() ? none : found->second,
                            group.labels);
}

void TermIndex::CountGroup(Term& term, const LabelGroup& group, int by) {
  for (const auto& [node, pods] : group.pods) {
    const int count = pods.live + (term.spec_.live_only ? 0 : pods.terminating);
    term.matching_.Add(ValueOn(term.spec_.topology, node), by * count);
  }
}

void TermIndex::Link(Term& term, LabelGroup& group) {
  term.groups_.push_back(&group);
  group.terms.push_back(&term);
  CountGroup(term, group, +1);
}

void TermIndex::Unlink(Term& term, LabelGroup& group) {
  std::erase(term.groups_, &group);
  std::erase(group.terms, &term);
  CountGroup(term, group, -1);
}

void TermIndex::Forget(Term* term) {
  for (LabelGroup* group : term->groups_) std::erase(group->terms, term);
  auto found = terms_.find(Encoded(term->spec_));
  if (found != terms_.end() && found->second.expired()) terms_.erase(found);
  delete term;
}

void TermIndex::Forget(LabelGroup* group) {
  for (Term* term : group->terms) std::erase(term->groups_, group);
  auto found = groups_.find(std::pair(group->ns, group->labels));
  if (found != groups_.end() && found->second.expired()) groups_.erase(found);
  delete group;
}

}  // namespace keel::orchestrator::sched
