// Everything is made beforehand, the nodes may only send and listen: manage = false. Standard, two nodes, keys.
using 'main.bicep'

param namespaceName = 'acme-hub'
param newNamespace = true
param subscriptions = ['web-01', 'web-02']
param keyRights = 'sendListen'
param keyScope = 'topic'
