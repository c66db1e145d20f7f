// Envoy Gateway's kinds as far as they are used here, after its API reference (gateway.envoyproxy.io/v1alpha1, v1.7):
// its schemas are in no package registry. What is not here does not pass.
interface Metadata {
    name: string;
    namespace: string;
}

interface Target {
    group: "gateway.networking.k8s.io";
    kind: "Gateway" | "HTTPRoute";
    name: string;
}

interface Kind<K extends string, S> {
    apiVersion: "gateway.envoyproxy.io/v1alpha1";
    kind: K;
    metadata: Metadata;
    spec: S;
}

export type IEnvoyExtensionPolicy = Kind<
    "EnvoyExtensionPolicy",
    {
        targetRefs: Target[];
        wasm: {
            name?: string;
            rootID?: string;
            code: { type: "Image"; image: { url: string; sha256?: string } };
            config?: object;
            failOpen?: boolean;
            env?: { hostKeys?: string[] };
        }[];
    }
>;

export type IEnvoyPatchPolicy = Kind<
    "EnvoyPatchPolicy",
    {
        type: "JSONPatch";
        targetRef: Target;
        priority?: number;
        jsonPatches: {
            type: "type.googleapis.com/envoy.config.cluster.v3.Cluster";
            name: string;
            operation: { op: "add"; path: string; value: object };
        }[];
    }
>;

export type IClientTrafficPolicy = Kind<
    "ClientTrafficPolicy",
    { targetRefs: Target[]; connection: { bufferLimit: string } }
>;

export type IEnvoyProxy = Kind<
    "EnvoyProxy",
    {
        provider: {
            type: "Kubernetes";
            kubernetes: {
                envoyDeployment: {
                    pod?: { labels?: Record<string, string> };
                    container?: {
                        env?: { name: string; valueFrom: { secretKeyRef: { name: string; key: string } } | { fieldRef: { fieldPath: string } } }[];
                    };
                };
            };
        };
    }
>;
