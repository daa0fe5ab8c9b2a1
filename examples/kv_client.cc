// The client library in a minute: put, get, a transaction, a watch, a lease.
//
//   build/release/bin/kv_client [HOST:PORT,...]
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "kvstore/client/client.h"

using keel::kvstore::Client;
using keel::kvstore::ClientOptions;
using namespace std::chrono_literals;

namespace {

absl::Status Run(Client& kv) {
  // A watch first, so that it sees what follows.
  keel::kvstore::WatchReader watch(kv, "example/",
                                   {.range_end = keel::kvstore::PrefixEnd("example/")});
  if (auto status = watch.WaitUntilCreated(5s); !status.ok()) return status;

  auto put = kv.Put("example/color", "green");
  if (!put.ok()) return put.status();
  std::cout << "put at revision " << put->header().revision() << "\n";

  // Change it only if nobody else has since; otherwise see what it is.
  auto txn =
      kv.Txn(keel::kvstore::TxnBuilder()
                 .If(keel::kvstore::ModRevisionIs("example/color", '=', put->header().revision()))
                 .Then(keel::kvstore::MakePut("example/color", "red"))
                 .Else(keel::kvstore::MakeGet("example/color")));
  if (!txn.ok()) return txn.status();
  std::cout << (txn->succeeded() ? "changed to red\n" : "somebody was faster\n");

  // A key that lives as long as this program keeps its lease alive.
  auto lease = kv.Grant(10s);
  if (!lease.ok()) return lease.status();
  auto keeper = kv.KeepAlive(lease->id(), nullptr, [](const absl::Status& lost) {
    std::cerr << "lease lost: " << lost << "\n";
  });
  if (auto here = kv.Put("example/here", "yes", {.lease = lease->id()}); !here.ok())
    return here.status();

  auto all = kv.Get("example/", {.range_end = keel::kvstore::PrefixEnd("example/")});
  if (!all.ok()) return all.status();
  for (const auto& record : all->kvs())
    std::cout << record.key() << " = " << record.value() << "\n";

  // Revoking deletes the keys of the lease: the last event below.
  if (auto revoked = kv.Revoke(lease->id()); !revoked.ok()) return revoked.status();
  for (int events = 0; events < 4;) {
    auto response = watch.Next(5s);
    if (!response.ok()) return response.status();
    for (const auto& event : response->events()) {
      const bool is_put = event.type() == mvccpb::Event::PUT;
      std::cout << "event " << ++events << ": " << (is_put ? "put " : "delete ") << event.kv().key()
                << "\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  ClientOptions options;
  if (argc > 1) {
    options.endpoints.clear();
    std::istringstream list(argv[1]);
    for (std::string endpoint; std::getline(list, endpoint, ',');)
      options.endpoints.push_back(endpoint);
  }
  auto client = Client::Create(options);
  const absl::Status status = client.ok() ? Run(**client) : client.status();
  if (!status.ok()) std::cerr << "kv_client: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
