// lock, elect.
#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "kvstore/client/client_concurrency_store.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/run_command.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using kvstore::Place;

constexpr std::chrono::seconds kElectionTtl{60};  // etcdctl's

// What a command waits for, told by the client's loop and by signals.
struct News {
  std::mutex mu;
  std::condition_variable changed;
  std::optional<absl::StatusOr<Place>> won;
  std::optional<absl::Status> lost;  // the lease, or the observation
  bool interrupted = false;

  template <typename Change>
  void Tell(Change change) {
    {
      std::lock_guard lock(mu);
      change();
    }
    changed.notify_all();
  }
  // Until it was told of something that `which` takes.
  template <typename Which>
  void Await(Which which) {
    std::unique_lock lock(mu);
    changed.wait(lock, which);
  }
};

// From here on an interrupt is news and ends nothing by itself. Before any thread is started.
std::shared_ptr<News> CatchInterrupts() {
  auto news = std::make_shared<News>();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([news, signals] {
    int signal = 0;
    while (sigwait(&signals, &signal) != 0) {
    }
    news->Tell([&] { news->interrupted = true; });
  }).detach();
  return news;
}

// A lease that is renewed, and a place in a queue under it.
class Contest {
 public:
  Contest(Session& session, std::shared_ptr<News> news)
      : session_(session), news_(std::move(news)) {}
  ~Contest() {
    if (lease_ == 0) return;
    keeper_.reset();
    // With the lease goes the key.
    (void)session_.client().Revoke(lease_);
  }

  // Waits for the lock or the office.
  Outcome Win(const std::string& name, std::chrono::seconds ttl, const std::string& value) {
    const auto granted = session_.client().Grant(ttl);
    if (!granted.ok()) return FailWith(granted.status());
    lease_ = granted->id();
    keeper_ = session_.client().KeepAlive(lease_, {}, [news = news_](const absl::Status& status) {
      news->Tell([&] { news->lost = status; });
    });
    campaign_ = std::make_shared<kvstore::Campaign>(
        kvstore::MakeConcurrencyStore(session_.client()), name, lease_, value);
    session_.client().loop().Post([campaign = campaign_, news = news_] {
      campaign->Start(
          [news](absl::StatusOr<Place> won) { news->Tell([&] { news->won = std::move(won); }); });
    });
    news_->Await([&] { return news_->won || news_->interrupted || news_->lost; });
    if (!news_->won) {
      return Fail(kExitError, news_->interrupted ? "context canceled" : "session expired");
    }
    if (!news_->won->ok()) return FailWith(news_->won->status());
    return Success();
  }

  const Place& place() const { return **news_->won; }

  // Prints the key it holds.
  Outcome Show(const std::string& lost) {
    const auto held = session_.client().Get(place().key);
    if (!held.ok()) return FailWith(held.status());
    if (held->kvs().empty()) return Fail(kExitError, lost);
    const auto printer = session_.MakePrinter();
    printer->Get(*held);
    std::cout.flush();
    return session_.Finish(*printer);
  }

  // Until it is interrupted; an error when the lease ends before.
  Outcome Hold(const std::string& expired) {
    news_->Await([&] { return news_->interrupted || news_->lost; });
    return news_->interrupted ? Success() : Fail(kExitError, expired);
  }

 private:
  Session& session_;
  const std::shared_ptr<News> news_;
  int64_t lease_ = 0;
  std::unique_ptr<kvstore::LeaseKeeper> keeper_;
  std::shared_ptr<kvstore::Campaign> campaign_;
};

Outcome Lock(Session& session, const std::vector<std::string>& args, std::chrono::seconds ttl) {
  if (args.empty()) {
    return Fail(kExitBadArgs, "lock takes a lock name argument and an optional command to execute");
  }
  const auto news = CatchInterrupts();
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  Contest contest(session, news);
  if (Outcome won = contest.Win(args[0], ttl, ""); !won.ok()) return won;
  if (args.size() == 1) {
    if (Outcome shown = contest.Show("lock lost on init"); !shown.ok()) return shown;
    return contest.Hold("session expired");
  }
  const std::string why = RunCommand({args.begin() + 1, args.end()},
                                     {{"ETCD_LOCK_KEY", contest.place().key},
                                      {"ETCD_LOCK_REV", base::StrCat(contest.place().revision)}});
  return why.empty() ? Success() : Fail(kExitError, why);
}

Outcome Observe(Session& session, const std::string& name) {
  const auto news = CatchInterrupts();
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  const auto printer = session.MakePrinter();
  const auto observation = std::make_shared<kvstore::Observation>(
      kvstore::MakeConcurrencyStore(session.client()), name,
      kvstore::Observation::Events{
          .on_leader =
              [&](const etcdserverpb::ResponseHeader& header, const mvccpb::KeyValue& leader) {
                etcdserverpb::RangeResponse response;
                *response.mutable_header() = header;
                *response.add_kvs() = leader;
                printer->Get(response);
                std::cout.flush();
              },
          .on_end = [news](absl::Status status) { news->Tell([&] { news->lost = status; }); }});
  session.client().loop().Post([observation] { observation->Start(); });
  news->Await([&] { return news->interrupted || news->lost; });
  session.Disconnect();  // nothing runs any more
  if (!news->interrupted) return Fail(kExitError, "elect: observer lost");
  return session.Finish(*printer);
}

Outcome Elect(Session& session, const std::vector<std::string>& args, bool listen) {
  if (args.empty() || args.size() > 2) {
    return Fail(kExitBadArgs,
                "elect takes one election name argument and an optional proposal argument");
  }
  if (listen && args.size() == 2) return Fail(kExitBadArgs, "proposal given but -l is set");
  if (!listen && args.size() == 1) return Fail(kExitBadArgs, "no proposal argument but -l not set");
  if (listen) return Observe(session, args[0]);
  const auto news = CatchInterrupts();
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  Contest contest(session, news);
  if (Outcome won = contest.Win(args[0], kElectionTtl, args[1]); !won.ok()) return won;
  if (Outcome shown = contest.Show("elect: session expired"); !shown.ok()) return shown;
  return contest.Hold("elect: session expired");
}

}  // namespace

void AddConcurrencyVerbs(CLI::App& app, Session& session, std::vector<std::string> exec_args) {
  CLI::App* lock =
      AddVerb(app, "lock", "Waits for a lock and holds it until interrupted",
              "  kvctl lock jobs/cleanup\n"
              "  kvctl lock jobs/cleanup -- sh -c 'echo \"I hold $ETCD_LOCK_KEY\"'\n"
              "With a command: holds the lock while that runs, with ETCD_LOCK_KEY and\n"
              "ETCD_LOCK_REV (greater for each later holder) in its environment.");
  auto lock_args = std::make_shared<std::vector<std::string>>();
  lock->add_option("lockname", *lock_args, "<lockname> [command arg1 arg2 ...]");
  auto ttl = std::make_shared<int64_t>(10);
  lock->add_option("--ttl", *ttl, "seconds until others may have it when this process dies");
  lock->callback([&session, lock_args, ttl, exec_args] {
    session.run = [&session, lock_args, ttl, exec_args] {
      lock_args->insert(lock_args->end(), exec_args.begin(), exec_args.end());
      return Lock(session, *lock_args, std::chrono::seconds(*ttl > 0 ? *ttl : 60));
    };
  });

  CLI::App* elect = AddVerb(app, "elect", "Waits to be elected and leads until interrupted",
                            "  kvctl elect scheduler host-7       # prints the key once it leads\n"
                            "  kvctl elect -l scheduler           # prints each leader");
  auto elect_args =
      std::make_shared<Arguments>(elect, std::vector<std::string>{"<election-name>", "[proposal]"});
  auto listen = std::make_shared<bool>(false);
  elect->add_flag("-l,--listen", *listen, "only observe who leads");
  elect->callback([&session, elect_args, listen] {
    session.run = [&session, elect_args, listen] {
      return Elect(session, elect_args->Get(), *listen);
    };
  });
}

}  // namespace keel::kvctl
