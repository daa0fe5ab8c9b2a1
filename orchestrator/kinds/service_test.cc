#include "orchestrator/kinds/kinds_testing.h"

namespace keel::orchestrator {
namespace {

constexpr char kService[] =
    R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n"},
        "spec":{"ports":[{"port":80}]}})";

std::string Spec(std::string_view members) {
  return Create(kService, base::StrCat(R"({"spec":{)", members, "}}"));
}

TEST(Service, Defaults) {
  json::object made = Parse(kService);
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(made.at("spec"), *ParseJson(R"({"ports":[{"port":80,"protocol":"TCP","targetPort":80}],
               "type":"ClusterIP","sessionAffinity":"None","internalTrafficPolicy":"Cluster"})"));
  EXPECT_EQ(ToJson(made.at("status")), R"({"loadBalancer":{}})");
  json::object balanced =
      Merged(Parse(kService),
             Parse(R"({"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP"}})"))
          .as_object();
  EXPECT_EQ(Admit(balanced), "");
  EXPECT_EQ(StringAt(balanced, {"spec", "externalTrafficPolicy"}), "Cluster");
  EXPECT_TRUE(BoolAt(balanced, {"spec", "allocateLoadBalancerNodePorts"}));
  EXPECT_EQ(IntAt(balanced, {"spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"}),
            10800);
}

TEST(Service, Checks) {
  EXPECT_EQ(Spec(R"("ports":null)"), "spec.ports: Required value");
  EXPECT_EQ(Spec(R"("ports":null,"clusterIP":"None")"), "");
  EXPECT_EQ(Spec(R"("ports":[{"port":0}])"),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive");
  EXPECT_EQ(Spec(R"("ports":[{"port":1},{"port":2,"name":"b"}])"),
            "spec.ports[0].name: Required value");
  EXPECT_EQ(Spec(R"("ports":[{"port":1,"name":"a"},{"port":2,"name":"a"}])"),
            "spec.ports[1].name: Duplicate value: \"a\"");
  EXPECT_EQ(Spec(R"("ports":[{"port":1,"nodePort":30000}])"),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'");
  EXPECT_EQ(Spec(R"("type":"ExternalName")"), "spec.externalName: Required value");
  EXPECT_EQ(Spec(R"("type":"Other")"),
            "spec.type: Unsupported value: \"Other\": supported values: \"ClusterIP\", "
            "\"ExternalName\", \"LoadBalancer\", \"NodePort\"");
  EXPECT_EQ(Spec(R"("clusterIP":"x")"),
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 "
            "or 2001:db8::ffff)");
  EXPECT_NE(Create(kService, R"({"metadata":{"name":"1s"}})").find("a DNS-1035 label must"),
            std::string::npos);
}

TEST(Service, KeepsWhatWasAllocated) {
  json::object before =
      Merged(Parse(kService), Parse(R"({"spec":{"type":"NodePort","clusterIP":"10.0.0.1",
          "clusterIPs":["10.0.0.1"],"ports":[{"port":80,"nodePort":30001}]}})"))
          .as_object();
  EXPECT_EQ(Admit(before), "");
  json::object after =
      Merged(Parse(kService), Parse(R"({"spec":{"type":"NodePort"}})")).as_object();
  EXPECT_EQ(Admit(after, &before), "");
  EXPECT_EQ(StringAt(after, {"spec", "clusterIP"}), "10.0.0.1");
  EXPECT_EQ(IntAt(ArrayAt(after, {"spec", "ports"})[0], {"nodePort"}), 30001);
  json::object plain = Merged(before, Parse(R"({"spec":{"type":"ClusterIP"}})")).as_object();
  EXPECT_EQ(Admit(plain, &before), "");
  EXPECT_EQ(Find(ArrayAt(plain, {"spec", "ports"})[0], {"nodePort"}), nullptr);
  json::object moved = Merged(before, Parse(R"({"spec":{"clusterIP":"10.0.0.2"}})")).as_object();
  EXPECT_EQ(Admit(moved, &before),
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set");
}

TEST(Service, Columns) {
  auto row = [](std::string_view spec, std::string_view status = "") {
    return Row(base::StrCat(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s",)"
                            R"("creationTimestamp":"2023-11-14T22:13:10Z"},"spec":{)",
                            spec, R"(},"status":{)", status, "}}"));
  };
  EXPECT_EQ(row(R"("type":"ClusterIP","clusterIP":"10.0.0.1","selector":{"b":"c","a":"b"},
                   "ports":[{"port":80,"protocol":"TCP"},{"port":53,"protocol":"UDP"}])"),
            "s | ClusterIP | 10.0.0.1 | <none> | 80/TCP,53/UDP | 10s | a=b,b=c");
  EXPECT_EQ(row(R"("type":"LoadBalancer","clusterIP":"10.0.0.1",
                   "ports":[{"port":80,"nodePort":30000,"protocol":"TCP"}])"),
            "s | LoadBalancer | 10.0.0.1 | <pending> | 80:30000/TCP | 10s | <none>");
  EXPECT_EQ(row(R"("type":"LoadBalancer")", R"("loadBalancer":{"ingress":[{"ip":"1.2.3.4"}]})"),
            "s | LoadBalancer | <none> | 1.2.3.4 | <none> | 10s | <none>");
  EXPECT_EQ(row(R"("type":"ExternalName","externalName":"a.b")"),
            "s | ExternalName | <none> | a.b | <none> | 10s | <none>");
}

TEST(Endpoints, Columns) {
  auto row = [](std::string_view subsets) {
    return Row(base::StrCat(R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"s"},)"
                            R"("subsets":)",
                            subsets, "}"));
  };
  EXPECT_EQ(row("[]"), "s | <none> | <unknown>");
  EXPECT_EQ(
      row(R"([{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"ports":[{"port":80},{"port":81}]}])"),
      "s | 1.1.1.1:80,1.1.1.2:80,1.1.1.1:81 + 1 more... | <unknown>");
}

TEST(EndpointSlice, ColumnsAndChecks) {
  constexpr char kSlice[] =
      R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"s","namespace":"n"},
          "addressType":"IPv4","ports":[{"port":80},{"name":"x"}],
          "endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.2"]}]})";
  EXPECT_EQ(Row(kSlice), "s | IPv4 | 80,x | 10.0.0.1,10.0.0.2 | <unknown>");
  EXPECT_EQ(Create(kSlice), "");
  EXPECT_EQ(Create(kSlice, R"({"endpoints":[{"addresses":[]}]})"),
            "endpoints[0].addresses: Required value: must contain at least 1 address");
  EXPECT_NE(Update(kSlice, R"({"addressType":"IPv6"})").find("field is immutable"),
            std::string::npos);
}

TEST(Ingress, ChecksAndColumns) {
  constexpr char kIngress[] =
      R"({"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i","namespace":"n"},
          "spec":{"ingressClassName":"web","tls":[{"hosts":["a.b"]}],"rules":[{"host":"a.b","http":{"paths":[
          {"path":"/","pathType":"Prefix","backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}})";
  EXPECT_EQ(Create(kIngress), "");
  EXPECT_EQ(Row(kIngress), "i | web | a.b |  | 80, 443 | <unknown>");
  EXPECT_EQ(Create(kIngress, R"({"spec":{"rules":null}})"),
            "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified");
  EXPECT_EQ(Create(kIngress, R"({"spec":{"rules":[{"http":{"paths":[{"path":"x","pathType":"Exact",
                "backend":{"service":{"name":"s","port":{}}}}]}}]}})"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path\n"
            "spec.rules[0].http.paths[0].backend.service: Required value: port name or number is "
            "required");
  EXPECT_EQ(Create(kIngress, R"({"spec":{"rules":[{"host":"10.0.0.1"}]}})"),
            "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP "
            "address");
}

}  // namespace
}  // namespace keel::orchestrator
