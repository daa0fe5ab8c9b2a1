// Lists: each client reads the first `range_keys` keys of the key space's
// prefix in pages of `page_keys`, as a Kubernetes API server does: every page
// asks for what is left of the whole prefix with a limit, at the revision of
// the first page, and its answer says how many keys there are.
//
// One operation is one whole list. With a page as large as the list it is a
// single range.
#pragma once

#include <memory>
#include <vector>

#include "base/asio_loop.h"
#include "bench/run.h"
#include "rpc/client.h"

namespace keel::bench {

class PagesLoad final : public Load {
 public:
  // The share of thread `thread` of options.threads.
  PagesLoad(Run& run, int thread);
  ~PagesLoad() override;

  absl::Status Prepare() override;
  void Start() override;
  void Stop() override;
  const Found& found() const override { return found_; }

 private:
  struct Client {
    rpc::Channel* channel;
    int64_t start_ns = 0;
    int64_t left = 0;  // keys still wanted
    etcdserverpb::RangeRequest request;
  };

  void StartList(Client& client);
  void Ask(Client& client);
  void Answered(Client& client, absl::StatusOr<std::string> response);
  void Done(Client& client, const absl::Status& status);

  Run& run_;
  base::AsioLoop loop_;
  Found found_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::vector<Client> clients_;
};

}  // namespace keel::bench
