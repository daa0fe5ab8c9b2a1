// An API server in memory, for tests of what is built on ApiClient: it keeps objects, counts
// resource versions, answers conflicts, selects, pages and watches, and fails when told.
//
//   base::ManualLoop loop;
//   FakeApi api(loop);
//   api.Put(kPods, R"({"metadata":{"name":"a","namespace":"default"}})");
//   ReplicaSetController controller(api, ...);
//   loop.RunUntilIdle();                                    // or Advance(...)
//   EXPECT_EQ(api.All(kPods).size(), 3);
//   api.fail = [](const FakeApi::Request& r) {
//     return r.verb == "create" ? TooManyRequests("later") : absl::OkStatus();
//   };
//
// It follows Kubernetes where controllers can tell: creates make name (generateName), uid, creation
// time and generation 1; an update with another resourceVersion than the object's is a Conflict,
// one that changes the spec counts the generation, status and spec are written by different paths;
// deleting an object that has finalizers (also those of Foreground and Orphan) marks it, and it
// goes when the last is removed; a namespace goes with its finalize. There are no schemas, defaults
// or checks of fields; any resource exists. Strategic merge patches are merged as merge patches,
// but that the lists conditions (by type) and ownerReferences (by uid) are merged by key.
//
// Answers and events come from the loop, never inside a call. Thread-safety: on its loop only; with
// a ManualLoop that is the test's thread.
#pragma once

#include <concepts>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/loop.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

class FakeApi final : public ApiClient {
 public:
  struct Request {
    std::string verb;  // get, list, watch, create, update, patch, delete, deletecollection
    Resource resource;
    std::string ns{}, name{}, subresource{};
    std::string query{};
    std::string content_type{};
    json::value body{};  // null when there is none
  };

  explicit FakeApi(base::Loop& loop);
  ~FakeApi() override;

  // ---- ApiClient
  void Call(std::string_view method, std::string path, std::string_view content_type,
            std::string body, Done done) override;
  void CallBytes(std::string_view method, std::string path, std::string_view content_type,
                 std::string body, DoneBytes done) override;
  std::unique_ptr<WatchHandle> Watch(std::string path,
                                     absl::AnyInvocable<void(const WatchEvent&)> on_event,
                                     absl::AnyInvocable<void(absl::Status)> on_end) override;
  base::Loop& loop() override { return loop_; }

  // ---- The test's hand on the objects; at once, and seen by watches as any other change.
  // Creates or replaces the whole object, status and all; fills in what a create would. Returns it
  // as it is stored. REQUIRES: it parses and has metadata.name.
  json::object Put(const Resource& r, const json::value& object);
  template <std::convertible_to<std::string_view> Text>
  json::object Put(const Resource& r, const Text& text) {
    return PutText(r, text);
  }
  // Changes a stored object. REQUIRES: it exists.
  void Edit(const Resource& r, std::string_view ns, std::string_view name,
            const std::function<void(json::object& object)>& edit);
  // Null when there is none; valid until the next change.
  const json::object* Stored(const Resource& r, std::string_view ns, std::string_view name) const;
  // In the order of namespaces and names; `ns` empty: of all.
  std::vector<json::object> All(const Resource& r, std::string_view ns = {}) const;
  // At once, finalizers or not. False when there is none.
  bool Erase(const Resource& r, std::string_view ns, std::string_view name);

  // ---- Failures
  // Asked before each request but watches; an error is its answer, and nothing happens.
  std::function<absl::Status(const Request&)> fail{};
  // Asked when a request was carried out; an error is answered although it was (a lost answer).
  std::function<absl::Status(const Request&)> fail_after{};
  // While true, watches tell nothing: caches grow stale. Then all that was held comes at once.
  void HoldEvents(bool hold);
  // Ends all watches with this status; OK: in order.
  void EndWatches(const absl::Status& status);
  // Forgets history: older watches and continue tokens get Expired.
  void Compact();

  // ---- What was asked, oldest first (watches and lists too). The test may clear it.
  std::vector<Request> requests;
  // How many of that verb on that plural.
  size_t Count(std::string_view verb, std::string_view plural) const;
  int64_t resource_version() const { return revision_; }
  size_t open_watches() const { return watches_.size(); }

  // Of creation and deletion times; the loop's time is added to it.
  absl::Time start = absl::FromUnixSeconds(1'700'000'000);
  absl::Time now() const;

 private:
  struct Event;
  struct Watcher;
  struct Handle;
  // group, plural, namespace, name
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  struct Object {
    json::object value;
    int64_t revision = 0;
  };

  json::object PutText(const Resource& r, std::string_view text);
  absl::StatusOr<json::value> Serve(const Request& request);
  absl::StatusOr<json::value> ListObjects(const Request& request);
  absl::StatusOr<json::value> CreateObject(const Request& request);
  absl::StatusOr<json::value> UpdateObject(const Request& request, const json::object& wanted);
  absl::StatusOr<json::value> PatchObject(const Request& request);
  absl::StatusOr<json::value> DeleteObject(const Request& request);
  absl::StatusOr<json::value> ServeScale(const Request& request);
  absl::StatusOr<json::value> Discover(std::string_view path) const;

  static Key KeyOfRequest(const Request& request);
  // Fills in what the server gives a new object.
  void Complete(const Request& request, json::object& object);
  // Counts the revision and tells watches. An object that is deleted and has nothing left that
  // holds it goes instead.
  void Store(const Resource& r, const Key& key, json::object value);
  void EraseKey(const Key& key);
  void Tell(std::string_view type, const Key& key, const json::object& object);
  void Deliver();

  base::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<Key, Object> objects_;
  // Of discovery: what there ever was an object of.
  struct Known {
    std::string kind;
    bool namespaced = false;
  };
  std::map<Resource, Known> known_;
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
  uint64_t next_uid_ = 1;
  bool hold_ = false;
  bool delivery_posted_ = false;
  std::deque<std::shared_ptr<const Event>> history_;
  std::vector<std::shared_ptr<Watcher>> watches_;
};

}  // namespace keel::orchestrator
