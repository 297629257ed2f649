// No keys at all: managed identities that may send and listen, two partitions, Premium. manage = false, token_file.
using 'main.bicep'

param namespaceName = 'acme-hub'
param newNamespace = true
param sku = 'Premium'
param partitions = 2
param subscriptions = ['web-01', 'web-02']
param keyRights = 'none'
param identities = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
