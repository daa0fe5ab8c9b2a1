// metrics.k8s.io: NodeMetrics and PodMetrics, got and listed, made when they are asked for.
//
//   UsageApi usage(context, presenter, std::make_unique<HollowUsage>());
//   usage.Serve(request, kind);   // of a kind that IsComputed
//
// The cache is read as it is, without asking the store whether it is new: figures are always of a
// moment ago. Many pods are worked through in turns of the loop.
// Thread-safety: on the server's loop only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/context.h"
#include "orchestrator/apiserver/presenter.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/usage.h"

namespace keel::orchestrator {

class UsageApi {
 public:
  // `presenter` outlives it, as the context does.
  UsageApi(ServerContext& context, const Presenter& presenter, std::unique_ptr<UsageSource> source);
  ~UsageApi() { *alive_ = false; }

  // get and list. REQUIRES: `kind` is NodeMetrics or PodMetrics.
  void Serve(RequestPtr request, std::shared_ptr<const Kind> kind);

 private:
  struct Pass;  // over the pods

  void GoOn(const std::shared_ptr<Pass>& pass);
  // Whether it had to be parsed.
  bool Take(Pass& pass, const CachedObject& pod) const;
  void Finish(Pass& pass) const;

  ServerContext& context_;
  const Presenter& presenter_;
  const std::unique_ptr<UsageSource> source_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Of pods, among their selectable fields.
  size_t phase_field_ = 0, node_field_ = 0;
};

}  // namespace keel::orchestrator
