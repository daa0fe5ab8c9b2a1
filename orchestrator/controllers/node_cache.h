// A controller's cache of nodes.
//
//   NodeCache nodes(context);
//   nodes.OnChange([&](const NodeInfo* before, const NodeInfo* now) {...});
//   nodes.Start(on_synced);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/node_info.h"

namespace keel::orchestrator {

class NodeCache {
 public:
  explicit NodeCache(ControllerContext& context) : informer_(context.client, {"", "v1", "nodes"}) {}

  void OnChange(std::function<void(const NodeInfo* before, const NodeInfo* now)> handler) {
    informer_.OnChange(
        [handler = std::move(handler)](const ObjectKey&, const NodeInfo* before,
                                       const NodeInfo* now) { handler(before, now); });
  }
  void Start(std::function<void()> on_synced) { informer_.Start(std::move(on_synced)); }
  bool synced() const { return informer_.synced(); }
  const NodeInfo* Find(std::string_view name) const {
    return informer_.Find({"", std::string(name)});
  }
  // Valid until the next change.
  std::vector<const NodeInfo*> All() const {
    std::vector<const NodeInfo*> all;
    all.reserve(informer_.objects().size());
    for (const auto& [key, node] : informer_.objects()) all.push_back(node.get());
    return all;
  }
  size_t size() const { return informer_.objects().size(); }

 private:
  Informer<NodeInfo> informer_;
};

}  // namespace keel::orchestrator
