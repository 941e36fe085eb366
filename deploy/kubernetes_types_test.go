package deploy_test

import "io/fs"

// What is used here of the Kubernetes API. A field that is not among these is a fault:
// Kubernetes itself would drop a misspelt one without a word.
type (
	Object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
		Metadata   meta   `yaml:"metadata"`
	}
	meta struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	}
	namespace struct {
		Object `yaml:",inline"`
	}
	configMap struct {
		Object `yaml:",inline"`
		Data   map[string]string `yaml:"data"`
	}
	secret struct {
		Object     `yaml:",inline"`
		Type       string            `yaml:"type"`
		StringData map[string]string `yaml:"stringData"`
	}
	claim struct {
		Object `yaml:",inline"`
		Spec   struct {
			AccessModes      []string `yaml:"accessModes"`
			StorageClassName string   `yaml:"storageClassName"`
			Resources        struct {
				Requests map[string]string `yaml:"requests"`
			} `yaml:"resources"`
		} `yaml:"spec"`
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	deployment struct {
		Object `yaml:",inline"`
		Spec   struct {
			Replicas int `yaml:"replicas"`
			History  int `yaml:"revisionHistoryLimit"`
			Strategy struct {
				Type          string `yaml:"type"`
				RollingUpdate struct {
					MaxUnavailable int `yaml:"maxUnavailable"`
					MaxSurge       int `yaml:"maxSurge"`
				} `yaml:"rollingUpdate"`
			} `yaml:"strategy"`
			Selector selector `yaml:"selector"`
			Template struct {
				Metadata meta `yaml:"metadata"`
				Spec     pod  `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	pod struct {
		Token        *bool `yaml:"automountServiceAccountToken"`
		ServiceLinks *bool `yaml:"enableServiceLinks"`
		Grace        int   `yaml:"terminationGracePeriodSeconds"`
		Affinity     struct {
			PodAntiAffinity struct {
				Preferred []struct {
					Weight int `yaml:"weight"`
					Term   struct {
						TopologyKey   string   `yaml:"topologyKey"`
						LabelSelector selector `yaml:"labelSelector"`
					} `yaml:"podAffinityTerm"`
				} `yaml:"preferredDuringSchedulingIgnoredDuringExecution"`
			} `yaml:"podAntiAffinity"`
		} `yaml:"affinity"`
		Security struct {
			NonRoot  bool   `yaml:"runAsNonRoot"`
			User     int    `yaml:"runAsUser"`
			Group    int    `yaml:"runAsGroup"`
			FSGroup  int    `yaml:"fsGroup"`
			FSPolicy string `yaml:"fsGroupChangePolicy"`
			Seccomp  struct {
				Type string `yaml:"type"`
			} `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []container `yaml:"containers"`
		Volumes    []volume    `yaml:"volumes"`
	}
	container struct {
		Name       string   `yaml:"name"`
		Image      string   `yaml:"image"`
		PullPolicy string   `yaml:"imagePullPolicy"`
		Args       []string `yaml:"args"`
		Env        []struct {
			Name      string `yaml:"name"`
			Value     string `yaml:"value"`
			ValueFrom struct {
				FieldRef struct {
					FieldPath string `yaml:"fieldPath"`
				} `yaml:"fieldRef"`
			} `yaml:"valueFrom"`
		} `yaml:"env"`
		EnvFrom []struct {
			ConfigMapRef struct {
				Name string `yaml:"name"`
			} `yaml:"configMapRef"`
		} `yaml:"envFrom"`
		Ports     []port `yaml:"ports"`
		Startup   *probe `yaml:"startupProbe"`
		Liveness  *probe `yaml:"livenessProbe"`
		Readiness *probe `yaml:"readinessProbe"`
		Lifecycle struct {
			PreStop struct {
				Sleep struct {
					Seconds int `yaml:"seconds"`
				} `yaml:"sleep"`
			} `yaml:"preStop"`
		} `yaml:"lifecycle"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		Security struct {
			Escalation   *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRoot bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities struct {
				Drop []string `yaml:"drop"`
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Mounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	port struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
	}
	probe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		Period  int `yaml:"periodSeconds"`
		Timeout int `yaml:"timeoutSeconds"`
		Fails   int `yaml:"failureThreshold"`
	}
	volume struct {
		Name   string `yaml:"name"`
		Secret *struct {
			SecretName  string      `yaml:"secretName"`
			DefaultMode fs.FileMode `yaml:"defaultMode"`
		} `yaml:"secret"`
		EmptyDir *struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
		Claim *struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
	}
	service struct {
		Object `yaml:",inline"`
		Spec   struct {
			Selector map[string]string `yaml:"selector"`
			Ports    []struct {
				Name       string `yaml:"name"`
				Port       int    `yaml:"port"`
				TargetPort string `yaml:"targetPort"`
			} `yaml:"ports"`
		} `yaml:"spec"` // no sessionAffinity: any process answers any request
	}
	budget struct {
		Object `yaml:",inline"`
		Spec   struct {
			MaxUnavailable int      `yaml:"maxUnavailable"`
			Selector       selector `yaml:"selector"`
		} `yaml:"spec"`
	}
	ingress struct {
		Object `yaml:",inline"`
		Spec   struct {
			ClassName string `yaml:"ingressClassName"`
			TLS       []struct {
				Hosts      []string `yaml:"hosts"`
				SecretName string   `yaml:"secretName"`
			} `yaml:"tls"`
			Rules []struct {
				Host string `yaml:"host"`
				HTTP struct {
					Paths []struct {
						Path     string `yaml:"path"`
						PathType string `yaml:"pathType"`
						Backend  struct {
							Service struct {
								Name string `yaml:"name"`
								Port struct {
									Name string `yaml:"name"`
								} `yaml:"port"`
							} `yaml:"service"`
						} `yaml:"backend"`
					} `yaml:"paths"`
				} `yaml:"http"`
			} `yaml:"rules"`
		} `yaml:"spec"`
	}
	side struct {
		Namespaces *selector `yaml:"namespaceSelector"`
		Pods       *selector `yaml:"podSelector"`
	}
	allowed struct {
		From  []side `yaml:"from"`
		To    []side `yaml:"to"`
		Ports []struct {
			Protocol string `yaml:"protocol"`
			Port     int    `yaml:"port"`
		} `yaml:"ports"`
	}
	policy struct {
		Object `yaml:",inline"`
		Spec   struct {
			PodSelector selector  `yaml:"podSelector"`
			Types       []string  `yaml:"policyTypes"`
			Ingress     []allowed `yaml:"ingress"`
			Egress      []allowed `yaml:"egress"`
		} `yaml:"spec"`
	}
)

// versions are the kinds that are used, as they are called since Kubernetes 1.30.
var versions = map[string]string{"Namespace": "v1", "ConfigMap": "v1", "Secret": "v1", "PersistentVolumeClaim": "v1", "Service": "v1", "Deployment": "apps/v1",
	"PodDisruptionBudget": "policy/v1", "Ingress": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1"}
