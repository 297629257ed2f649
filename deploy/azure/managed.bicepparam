// The nodes make their subscriptions themselves: manage = true. Standard, any number of nodes, a key.
using 'main.bicep'

param namespaceName = 'acme-hub'
param newNamespace = true
param keyRights = 'manage'
