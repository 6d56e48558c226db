-- Health of DockerDeployments and DockerSecrets for Argo CD, after the same conditions that kstatus reads.
local status = obj.status or {}
local waiting = { status = "Progressing", message = "Waiting for the operator" }

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "Being deleted" }
end
-- A status of an older generation says nothing about what was written since.
if status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return waiting
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end
local function is(kind, value)
  return found[kind] ~= nil and found[kind].status == value
end

if obj.kind == "DockerSecret" then
  if is("Valid", "True") then
    return { status = "Healthy", message = found.Valid.message }
  end
  -- Values that wait for the operator's key ring are nobody's mistake.
  for _, key in ipairs(status.keys or {}) do
    if key.reason == "KeyRingUnavailable" then
      return { status = "Progressing", message = found.Valid and found.Valid.message or waiting.message }
    end
  end
  if is("Valid", "False") then
    return { status = "Degraded", message = found.Valid.message }
  end
  return waiting
end

local ready = found.Ready
local message = ready and ready.message or waiting.message
local annotations = obj.metadata.annotations or {}
local held = (obj.spec or {}).paused == true or annotations["supercargo.dev/suspend"] == "true"
if held and not (is("Ready", "True") and not is("Reconciling", "True")) then
  return { status = "Suspended", message = message }
end
if is("Reconciling", "True") then
  return { status = "Progressing", message = message }
end
if is("Stalled", "True") then
  return { status = "Degraded", message = found.Stalled.message }
end
if is("Ready", "True") then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
