// The dashboard: a page that shows a cluster live, and what it needs of the store.
//
//   if (auto page = Dashboard::Page(request.path)) return std::move(respond)(*std::move(page));
//   if (request.path == Dashboard::kStorePath) return dashboard.AnswerStore(std::move(respond));
//
// The page is plain files compiled into the program (page/, and Debian's libjs-vue); in the browser
// it lists and watches through the API as any client does, with the bearer token that its user
// gives it, so it needs no rights of its own. Only the members of the store cannot be seen through
// the Kubernetes API; they are answered as JSON under kStorePath:
//
//   {"members":[{"id":"8e9e05c52164694d","name":"m1","endpoint":"http://127.0.0.1:2379",
//     "role":"leader","term":3,"raftIndex":120,"appliedIndex":120,"revision":96,"dbSize":81920,
//     "dbSizeInUse":40960,"version":"3.7.0","errors":[]}, ...], "time": 1700000000.123}
//
// A member that does not answer has "role":"down" and its "error". All who ask within a second
// share one round to the members. Thread-safety: on the store client's loop only.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "kvstore/client/client.h"
#include "rpc/http.h"

namespace keel::orchestrator {

class Dashboard {
 public:
  static constexpr std::string_view kStorePath = "/keel/v1/store";

  explicit Dashboard(kvstore::Client& store);
  ~Dashboard();

  // The files under /dashboard/; "/dashboard" itself is sent there. nullopt for every other path.
  static std::optional<rpc::HttpResponse> Page(std::string_view path);

  void AnswerStore(rpc::HttpRespond respond);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keel::orchestrator
