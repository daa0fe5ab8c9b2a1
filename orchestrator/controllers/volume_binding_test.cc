#include "orchestrator/controllers/volume_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/controllers/testing/controller_rig.h"
#include "orchestrator/controllers/volume_controllers.h"

namespace keel::orchestrator {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Resource kVolumes{"", "v1", "persistentvolumes"};
const Resource kClaims{"", "v1", "persistentvolumeclaims"};
const Resource kClasses{"storage.k8s.io", "v1", "storageclasses"};

struct Rig : ControllerRig {
  ClaimController claims{context};
  VolumeController volumes{context};
  Rig() {
    Start(claims);
    volumes.Start();
  }
  std::string Phase(const Resource& r, std::string_view ns, std::string_view name) {
    const json::object* object = api.Stored(r, ns, name);
    return object == nullptr ? "gone" : std::string(StringAt(*object, {"status", "phase"}));
  }
  void PutVolume(std::string_view name, std::string_view size, std::string_view policy = "Retain") {
    json::object volume{{"metadata", {{"name", name}}}};
    volume["spec"] = json::object{{"capacity", {{"storage", size}}},
                                  {"accessModes", json::array{"ReadWriteOnce"}},
                                  {"persistentVolumeReclaimPolicy", policy}};
    api.Put(kVolumes, volume);
  }
  void PutClaim(std::string_view name, std::string_view size, const char* storage_class = "") {
    json::object claim{{"metadata", {{"name", name}, {"namespace", "d"}}}};
    claim["spec"] = json::object{{"resources", {{"requests", {{"storage", size}}}}},
                                 {"accessModes", json::array{"ReadWriteOnce"}}};
    if (storage_class != nullptr) *Ensure(claim, {"spec", "storageClassName"}) = storage_class;
    api.Put(kClaims, claim);
  }
};

TEST(VolumeBinding, TakesTheSmallestThatFits) {
  Rig rig;
  rig.PutVolume("big", "10Gi");
  rig.PutVolume("right", "2Gi");
  rig.PutVolume("small", "1Gi");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kVolumes, "", "big"), "Available");
  rig.PutClaim("c", "1500Mi");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "c"), "Bound");
  EXPECT_EQ(rig.Phase(kVolumes, "", "right"), "Bound");
  const json::object& claim = *rig.api.Stored(kClaims, "d", "c");
  EXPECT_EQ(StringAt(claim, {"spec", "volumeName"}), "right");
  EXPECT_EQ(StringAt(claim, {"status", "capacity", "storage"}), "2Gi");
  EXPECT_EQ(StringAt(claim, {"metadata", "annotations", "pv.kubernetes.io/bind-completed"}), "yes");
  // Two claims, one volume that fits both.
  rig.PutClaim("e", "8Gi");
  rig.PutClaim("f", "8Gi");
  rig.Settle();
  EXPECT_NE(rig.Phase(kClaims, "d", "e"), rig.Phase(kClaims, "d", "f"));
  rig.api.Erase(kClaims, "d", "c");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kVolumes, "", "right"), "Released");
}

TEST(VolumeBinding, MakesLocalVolumesAndDeletesThem) {
  Rig rig;
  rig.api.Put(kClasses, R"({"metadata":{"name":"local","annotations":
      {"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"keel.io/local",
      "volumeBindingMode":"WaitForFirstConsumer"})");
  rig.PutClaim("c", "1Gi", nullptr);
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "c"), "Pending");
  EXPECT_THAT(rig.Reasons("c"), Contains("WaitForFirstConsumer"));
  rig.api.Put(kPods, R"({"metadata":{"name":"p","namespace":"d"},"spec":{"volumes":[{"name":"v",
      "persistentVolumeClaim":{"claimName":"c"}}]}})");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "c"), "Bound");
  ASSERT_THAT(rig.api.All(kVolumes), SizeIs(1));
  EXPECT_EQ(StringAt(rig.api.All(kVolumes)[0], {"spec", "persistentVolumeReclaimPolicy"}),
            "Delete");
  // A claim in use outlives its deletion until its pod ends.
  rig.api.Edit(kClaims, "d", "c", [](json::object& claim) {
    *Ensure(claim, {"metadata", "deletionTimestamp"}) = "2026-11-23T07:00:00Z";
  });
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "c"), "Bound");
  rig.api.Erase(kPods, "d", "p");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "c"), "gone");
  EXPECT_THAT(rig.api.All(kVolumes), IsEmpty());
}

TEST(VolumeBinding, SaysWhyAClaimWaitsAndWhenItIsLost) {
  Rig rig;
  rig.PutClaim("none", "1Gi");
  rig.PutClaim("missing", "1Gi", "nope");
  rig.Settle();
  EXPECT_THAT(rig.Reasons("none"), Contains("FailedBinding"));
  EXPECT_THAT(rig.Reasons("missing"), Contains("ProvisioningFailed"));
  rig.PutVolume("v", "1Gi");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "none"), "Bound");
  rig.api.Erase(kVolumes, "", "v");
  rig.Settle();
  EXPECT_EQ(rig.Phase(kClaims, "d", "none"), "Lost");
  EXPECT_THAT(rig.Reasons("none"), Contains("ClaimLost"));
}

TEST(VolumeBinding, FitsByClassModeAndSelector) {
  const json::object volume = ParseJson(R"({"metadata":{"labels":{"a":"b"}},"spec":{
      "storageClassName":"s","accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"}}})")
                                  ->as_object();
  struct Case {
    const char* spec;
    bool fits;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"accessModes":["ReadWriteOnce"]})", true},
           {R"({"accessModes":["ReadWriteMany"]})", false},
           {R"({"resources":{"requests":{"storage":"1025Mi"}}})", false},
           {R"({"volumeMode":"Block"})", false},
           {R"({"volumeMode":"Filesystem"})", true},
           {R"({"selector":{"matchLabels":{"a":"b"}}})", true},
           {R"({"selector":{"matchLabels":{"a":"c"}}})", false},
       }) {
    EXPECT_EQ(VolumeFits(volume, json::object{{"spec", *ParseJson(c.spec)}}, "s"), c.fits)
        << c.spec;
  }
  EXPECT_FALSE(VolumeFits(volume, json::object{}, ""));
}

}  // namespace
}  // namespace keel::orchestrator
