// CustomResourceDefinitions: kinds that come and go while the server runs.
//
// Every server follows the definitions in its cache: it adds a kind for each version that is
// served, says so in the definition's status (NamesAccepted, Established), and takes the kinds away
// with the definition, once their objects are gone (finalizer
// customresourcecleanup.apiextensions.k8s.io). Several servers doing so at once agree.
//
// Thread-safety: on the server's loop only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

class CustomResources final : public ChangeListener {
 public:
  static constexpr std::string_view kDefinitions = "customresourcedefinitions.apiextensions.k8s.io";
  static constexpr std::string_view kCleanup = "customresourcecleanup.apiextensions.k8s.io";

  explicit CustomResources(ObjectApi& objects) : objects_(objects) {}
  ~CustomResources() override;

  // Once the cache is whole: takes up what is there, then follows.
  void Start();

  // ChangeListener:
  void OnChange(const ObjectChange& change) override;
  void OnReset() override;

 private:
  struct Names {
    std::string group, plural;
  };
  void Take(const json::object& definition);
  void Remove(const std::string& name);
  void WriteStatus(const json::object& definition, std::string conflict);
  void CleanUp(const std::string& name);
  void Finalize(const std::string& name);
  std::string ConflictOf(const json::object& definition) const;

  ObjectApi& objects_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<std::string, Names> taken_;  // by the definition's name
};

// One kind for each version that is served; empty with `errors` when a schema is not structural.
std::vector<Kind> KindsOfDefinition(const json::object& definition, FieldErrors& errors);

}  // namespace keel::orchestrator
