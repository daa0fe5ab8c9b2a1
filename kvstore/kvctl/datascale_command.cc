// check datascale: what holding many keys costs the server in memory.
#include <atomic>
#include <condition_variable>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/check_commands.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/metrics_text.h"
#include "kvstore/kvctl/progress_bar.h"

namespace keel::kvctl {
namespace {

using base::StrCat;

struct Scale {
  std::string_view name;
  uint64_t keys;
  size_t clients;
};
constexpr Scale kScales[] = {
    {"s", 10'000, 50}, {"m", 100'000, 200}, {"l", 1'000'000, 500}, {"xl", 3'000'000, 1000}};
constexpr size_t kPairBytes = 1024;
constexpr size_t kKeyBytes = 512;
constexpr size_t kValueBytes = 512;
constexpr base::Duration kMetricsLimit = std::chrono::seconds(5);
// Deleting millions of keys takes a while.
constexpr base::Duration kDeleteLimit = std::chrono::minutes(5);

struct DatascaleFlags {
  std::string load = "s";
  std::string prefix = "/etcdctl-check-datascale/";
  bool auto_compact = false;
  bool auto_defrag = false;
};

const Scale* FindScale(std::string_view name) {
  for (const Scale& scale : kScales) {
    if (scale.name == ShortLoadName(name)) return &scale;
  }
  return nullptr;
}

// What the first endpoint says of its memory; 0 when it says nothing.
double ResidentBytes(const Session& session) {
  const auto text = FetchMetrics(session.flags.endpoints.front(), session.Tls(), kMetricsLimit);
  if (!text.ok()) return 0;
  return SumOf(ParseMetrics(*text), "process_resident_memory_bytes").value_or(0);
}

// At most `scale.clients` puts at once; the errors and how often each came.
std::map<std::string, uint64_t> Fill(Session& session, const Scale& scale,
                                     const std::string& prefix) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable ended;
    size_t open = 0;
    std::map<std::string, uint64_t> errors;
  };
  const auto shared = std::make_shared<Shared>();
  const std::string value(kValueBytes, 'v');
  std::mt19937_64 random(std::random_device{}());
  ProgressBar bar("checking");
  for (uint64_t i = 0; i < scale.keys; ++i) {
    {
      std::unique_lock lock(shared->mutex);
      shared->ended.wait(lock, [&] { return shared->open < scale.clients; });
      ++shared->open;
    }
    std::string key = StrCat(prefix, random());
    key.resize(prefix.size() + kKeyBytes, 'k');
    session.client().Call(kvstore::MakePut(key, value),
                          [shared](absl::StatusOr<etcdserverpb::PutResponse> response) {
                            std::lock_guard lock(shared->mutex);
                            --shared->open;
                            if (!response.ok()) ++shared->errors[ReasonOf(response.status())];
                            shared->ended.notify_one();
                          });
    bar.Show(i + 1, scale.keys);
  }
  std::unique_lock lock(shared->mutex);
  shared->ended.wait(lock, [&] { return shared->open == 0; });
  return shared->errors;
}

Outcome CouldNotRead(std::string_view when) {
  std::cout << "FAIL: Could not read process_resident_memory_bytes " << when
            << " the put operations.\n";
  return {kExitError, ""};
}

Outcome Datascale(Session& session, const DatascaleFlags& flags) {
  const Scale* scale = FindScale(flags.load);
  if (scale == nullptr) return Fail(kExitBadFeature, StrCat("unknown load option ", flags.load));
  if (Outcome ready = BeginCheck(session, flags.prefix); !ready.ok()) return ready;
  const double before = ResidentBytes(session);
  if (before == 0) return CouldNotRead("before");
  std::cout << absl::StrFormat(
                   "Start data scale check for work load [%d key-value pairs, %d bytes per "
                   "key-value, %d concurrent clients].\n",
                   scale->keys, kPairBytes, scale->clients)
            << std::flush;
  const std::map<std::string, uint64_t> errors = Fill(session, *scale, flags.prefix);
  const double after = ResidentBytes(session);
  if (Outcome ended =
          EndCheck(session, flags.prefix, kDeleteLimit, flags.auto_compact, flags.auto_defrag);
      !ended.ok()) {
    return ended;
  }
  if (after == 0) return CouldNotRead("after");
  if (!errors.empty()) {
    std::cout << "FAIL: too many errors\n";
    for (const auto& [error, count] : errors) {
      std::cout << "FAIL: ERROR(" << error << ") -> " << count << "\n";
    }
    return {kExitError, ""};
  }
  std::cout << absl::StrFormat("PASS: Approximate system memory used : %.2f MB.\n",
                               (after - before) / (1024 * 1024));
  return Success();
}

}  // namespace

void AddDatascaleVerb(CLI::App& check, Session& session) {
  CLI::App* verb = AddVerb(check, "datascale", "Measures the memory that many keys take",
                           "  kvctl --endpoints a:2379 check datascale --load m");
  auto flags = std::make_shared<DatascaleFlags>();
  verb->add_option("--load", flags->load, "s, m, l or xl: 10000, 100000, 1 or 3 million keys");
  verb->add_option("--prefix", flags->prefix, "of the keys that are written, and deleted");
  verb->add_flag("--auto-compact", flags->auto_compact, "compact afterwards");
  verb->add_flag("--auto-defrag", flags->auto_defrag, "defragment afterwards");
  verb->callback([&session, flags] {
    session.run = [&session, flags] { return Datascale(session, *flags); };
  });
}

}  // namespace keel::kvctl
